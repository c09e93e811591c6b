// A program of AllTick's users in Go, with the standard library alone.
package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"strings"
)

const token = "testtoken"

func main() {
	query := `{"trace":"go","data":{"symbol_list":[{"code":"BTCUSDT"}]}}`
	answer, err := http.Get("https://quote.alltick.co/quote-b-api/trade-tick?token=" + token + "&query=" + url.QueryEscape(query))
	check(err)
	var body struct{ Ret int }
	check(json.NewDecoder(answer.Body).Decode(&body))
	fmt.Println("http", body.Ret)

	ws := dial("wss://quote.alltick.co/quote-b-ws-api?token=" + token)
	send(ws, `{"cmd_id":22004,"seq_id":1,"trace":"go","data":{"symbol_list":[{"code":"BTCUSDT"}]}}`)
	for {
		message := receive(ws)
		if strings.Contains(message, `"cmd_id":22998`) {
			fmt.Println("push", message)
			return
		}
	}
}

func dial(address string) io.ReadWriter {
	request, err := http.NewRequest("GET", strings.Replace(address, "wss://", "https://", 1), nil)
	check(err)
	for name, value := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket",
		"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
	} {
		request.Header.Set(name, value)
	}
	answer, err := http.DefaultTransport.RoundTrip(request)
	check(err)
	if answer.StatusCode != 101 {
		log.Fatal(answer.Status)
	}
	return answer.Body.(io.ReadWriter)
}

// A text frame under a mask of zeros.
func send(ws io.Writer, text string) {
	frame := append([]byte{0x81, 0x80 | byte(len(text)), 0, 0, 0, 0}, text...)
	_, err := ws.Write(frame)
	check(err)
}

func receive(ws io.Reader) string {
	head := make([]byte, 2)
	_, err := io.ReadFull(ws, head)
	check(err)
	size := int(head[1])
	if size == 126 {
		_, err = io.ReadFull(ws, head)
		check(err)
		size = int(binary.BigEndian.Uint16(head))
	}
	text := make([]byte, size)
	_, err = io.ReadFull(ws, text)
	check(err)
	return string(text)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
