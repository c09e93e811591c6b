// A program of AllTick's users in Java, with the JDK alone.
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.net.http.WebSocket;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;

public class Client {
    static final String TOKEN = "testtoken";

    public static void main(String[] arguments) throws Exception {
        HttpClient client = HttpClient.newHttpClient();
        String query = URLEncoder.encode(
            "{\"trace\":\"java\",\"data\":{\"symbol_list\":[{\"code\":\"BTCUSDT\"}]}}", StandardCharsets.UTF_8);
        URI address = URI.create(
            "https://quote.alltick.co/quote-b-api/trade-tick?token=" + TOKEN + "&query=" + query);
        String body = client.send(HttpRequest.newBuilder(address).build(), BodyHandlers.ofString()).body();
        System.out.println("http " + (body.contains("\"ret\":200") ? "200" : body));

        CompletableFuture<String> push = new CompletableFuture<>();
        WebSocket socket = client.newWebSocketBuilder()
            .buildAsync(URI.create("wss://quote.alltick.co/quote-b-ws-api?token=" + TOKEN), new Listener(push))
            .get(20, TimeUnit.SECONDS);
        socket.sendText(
            "{\"cmd_id\":22004,\"seq_id\":1,\"trace\":\"java\",\"data\":{\"symbol_list\":[{\"code\":\"BTCUSDT\"}]}}",
            true);
        System.out.println("push " + push.get(20, TimeUnit.SECONDS));
        socket.abort();
        System.exit(0);
    }

    static class Listener implements WebSocket.Listener {
        private final CompletableFuture<String> push;
        private final StringBuilder text = new StringBuilder();

        Listener(CompletableFuture<String> push) {
            this.push = push;
        }

        @Override
        public CompletionStage<?> onText(WebSocket socket, CharSequence data, boolean last) {
            text.append(data);
            if (last) {
                if (text.indexOf("\"cmd_id\":22998") >= 0) {
                    push.complete(text.toString());
                }
                text.setLength(0);
            }
            socket.request(1);
            return null;
        }
    }
}
