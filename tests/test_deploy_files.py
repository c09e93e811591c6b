"""deploy/ and the image: what they name is there, and what runs beside a server does what it should.

No image is built here and nothing is pulled. The chart is rendered where there is a helm, else its templates
are looked at as text.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml  # type: ignore[import-untyped]

from tickwire.config import ENV_PREFIX, Settings, load
from tickwire.testing import AllTickServer

from .postgres import Postgres
from .serving import program_environment

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "helm/tickwire"
TEMPLATES = sorted((CHART / "templates").iterdir())
COMPOSE = ("compose.yaml", "compose-cluster.yaml")
SETTINGS = Settings.model_fields.keys()
PORT = Settings.model_fields["port"].default
HELM = shutil.which("helm")
GIVEN = {
    "image.repository": "registry.example/tickwire",
    "bus.urls[0]": "nats://one:4222",
    "bus.urls[1]": "nats://two:4222",
    "database.url": "postgresql://tickwire@db/tickwire",
    "tokenKey.secret": "key",
}
"""The values that have no default."""


class Strict(yaml.SafeLoader):  # type: ignore[misc]
    """Takes no key twice, where YAML's own reader would forget the first."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        names = [key.value for key, _ in node.value if key.value != "<<"]
        assert len(names) == len({*names}), f"{node.start_mark}: a key is there twice"
        return super().construct_mapping(node, deep)


def read(path: Path) -> Any:
    return yaml.load(path.read_text("utf-8"), Strict)  # noqa: S506


def compose(name: str) -> Any:
    return read(DEPLOY / name)


def settings_of(variables: Mapping[str, object]) -> dict[str, str]:
    """The settings that variables give, by name."""
    return {
        name.removeprefix(ENV_PREFIX).lower(): str(value)
        for name, value in variables.items()
        if name.startswith(ENV_PREFIX)
    }


def of_tickwire(found: Any) -> dict[str, Any]:
    """The services that run our image."""
    return {name: one for name, one in found["services"].items() if "build" in one}


def mounts(service: Any) -> Iterator[tuple[str, str]]:
    """Source and target of each mount."""
    for one in service.get("volumes", ()):
        source, target, *_ = one.split(":")
        yield source, target


# All that is YAML.
@pytest.mark.parametrize(
    "path",
    [path for path in sorted(DEPLOY.rglob("*.y*ml")) if path.parent.name != "templates"],
    ids=lambda path: str(path.relative_to(DEPLOY)),
)
def test_it_is_yaml(path: Path) -> None:
    assert read(path)


# The compose files.
@pytest.mark.parametrize("name", COMPOSE)
def test_settings_of_a_compose_file_exist_and_are_right(name: str) -> None:
    servers = of_tickwire(compose(name))
    assert servers
    for service in servers.values():
        given = settings_of(service.get("environment", {}))
        assert given.keys() <= SETTINGS
        filled = {one: re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text) for one, text in given.items()}
        load({}, None, {f"{ENV_PREFIX}{one.upper()}": text for one, text in filled.items()})


@pytest.mark.parametrize("name", COMPOSE)
def test_what_a_compose_file_names_is_there(name: str) -> None:
    found = compose(name)
    services, volumes = found["services"], set[str]()
    for service in services.values():
        assert {*service.get("networks", ())} <= {*found.get("networks", ())}
        for source, target in mounts(service):
            assert target.startswith("/")
            if source.startswith("."):
                assert (DEPLOY / source).exists(), source
            else:
                volumes.add(source)
        for other, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert "test" in services[other]["healthcheck"]
            else:
                assert how["condition"] == "service_completed_successfully"
                assert services[other]["restart"] == "no"
    assert volumes == {*found["volumes"]}
    used = {one for service in services.values() for one in service.get("networks", ())}
    assert used == {*found.get("networks", ())}


@pytest.mark.parametrize("name", COMPOSE)
def test_a_server_of_a_compose_file_may_do_little_and_has_time_to_end(name: str) -> None:
    for service in of_tickwire(compose(name)).values():
        assert (ROOT / service["build"]["dockerfile"]).exists()
        assert (DEPLOY / service["build"]["context"]).resolve() == ROOT
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        given = settings_of(service.get("environment", {}))
        if "drain_seconds" in given:
            assert int(service["stop_grace_period"].removesuffix("s")) >= float(given["drain_seconds"]) + 30
        if given.get("role") == "market":
            assert service["healthcheck"] == {"disable": True}
            assert "ports" not in service
        for port in service.get("ports", ()):
            assert port.startswith("${LISTEN:-127.0.0.1}:"), "open to others only if somebody says so"
            assert port.endswith(f":{PORT}")


def test_members_of_the_cluster_are_told_apart_and_prepared() -> None:
    services = compose("compose-cluster.yaml")["services"]
    members = {name: one for name, one in services.items() if "TICKWIRE_ROLE" in one.get("environment", {})}
    folders = {one["environment"]["TICKWIRE_DATA_DIR"] for one in members.values()}
    assert folders == {*services["prepare"]["entrypoint"][2:]}
    assert len(folders) == len(members) == 4
    assert sorted(one["environment"]["TICKWIRE_ROLE"] for one in members.values()) == [
        *("gateway", "gateway"),
        *("market", "market"),
    ]
    for name, one in members.items():
        assert one["environment"]["TICKWIRE_NODE"] == name
        hosts = re.findall(r"nats://([\w-]+):4222", one["environment"]["TICKWIRE_BUS"])
        assert hosts == [other for other in services if other.startswith("nats-")]
        assert {"bus", "database"} <= {*one["networks"]}
    sources = {one["environment"].get("TICKWIRE_SOURCE") for name, one in members.items() if "market" in name}
    assert len(sources) == 1


def test_nats_keeps_streams_on_its_volume_and_knows_the_others() -> None:
    found = compose("compose-cluster.yaml")
    text = (DEPLOY / "nats/nats.conf").read_text("utf-8")
    names = [name for name in found["services"] if name.startswith("nats-")]
    assert re.findall(r"nats-route://([\w-]+):6222", text) == names
    store = re.search(r"store_dir: (\S+)", text)
    assert store
    for name in names:
        service = found["services"][name]
        assert dict(mounts(service))[name] == store[1]
        assert service["command"][-2:] == ["--name", name]
        assert service["networks"] == ["bus"]
    assert found["networks"]["bus"] == {"internal": True}


def test_the_example_has_every_variable_and_no_secret() -> None:
    texts = [(DEPLOY / name).read_text("utf-8") for name in COMPOSE]
    lines = (DEPLOY / "example.env").read_text("utf-8").splitlines()
    example = dict(line.split("=", 1) for line in lines if re.match(r"\w+=", line))
    named = {name for text in texts for name in re.findall(r"\$\{(\w+)", text)}
    assert named == example.keys()
    for name, value in example.items():
        defaults = {*re.findall(rf"\${{{name}:-([^}}]*)}}", "".join(texts))}
        required = f"${{{name}:?" in "".join(texts)
        assert (required, defaults) == (not value, {value} if value else set())
    assert "/deploy/.env" in (ROOT / ".gitignore").read_text("utf-8").splitlines()


@pytest.mark.parametrize("name", COMPOSE)
def test_prometheus_reads_all_that_have_a_port(name: str) -> None:
    services = compose(name)["services"]
    where = {target: source for source, target in mounts(services["prometheus"])}
    config = read(DEPLOY / where["/etc/prometheus/prometheus.yml"])
    for rules in config["rule_files"]:
        assert (DEPLOY / where[f"/etc/prometheus/{rules}"]).exists()
    (job,) = config["scrape_configs"]
    assert job["job_name"] == "tickwire"
    (targets,) = job["static_configs"]
    assert targets["targets"] == [
        f"{one}:{PORT}" for one, of in of_tickwire(compose(name)).items() if "ports" in of
    ]
    token = PurePosixPath(job["authorization"]["credentials_file"])
    assert (where[str(token.parent)], str(token.parent)) in mounts(services["prepare"])
    assert f"SCRAPE_TOKEN:-{token}" in (DEPLOY / "prepare.sh").read_text("utf-8")


@pytest.mark.parametrize("name", COMPOSE)
def test_grafana_finds_the_board_and_its_prometheus(name: str) -> None:
    services = compose(name)["services"]
    where = {target: source for source, target in mounts(services["grafana"])}
    folder = where["/etc/grafana/provisioning"]
    (provider,) = read(DEPLOY / folder / "dashboards/tickwire.yml")["providers"]
    board = f"{provider['options']['path']}/tickwire.json"
    assert json.loads((DEPLOY / where[board]).read_text("utf-8"))["uid"] == "tickwire"
    assert services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"] == board
    (source,) = read(DEPLOY / folder / "datasources/prometheus.yml")["datasources"]
    assert source["type"] == "prometheus"
    assert source["url"] == "http://prometheus:9090"


# The image.
def instructions() -> list[tuple[str, str]]:
    """Each instruction of the Containerfile with what it says."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "Containerfile").read_text("utf-8"), flags=re.MULTILINE)
    lines = text.replace("\\\n", " ").splitlines()
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in lines if line.strip()]


def test_the_image_takes_what_is_there_and_nothing_that_is_ignored() -> None:
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    let_in = {line[1:] for line in ignored if line.startswith("!")}
    copied = {
        source
        for name, text in instructions()
        if name == "COPY" and not text.startswith("--from")
        for source in text.split()[:-1]
    }
    assert copied == let_in
    assert all((ROOT / source).exists() for source in copied)


def test_the_image_is_of_a_user_without_rights() -> None:
    last = [name for name, _ in instructions()].index("FROM", 1)
    of = dict(instructions()[last:])
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", of["USER"])
    assert of["EXPOSE"] == str(PORT)
    assert of["STOPSIGNAL"] == "SIGTERM"
    assert of["ENTRYPOINT"] == '["tickwire"]'
    variables = dict(word.split("=", 1) for word in of["ENV"].split())
    given = settings_of(variables)
    assert given.keys() <= SETTINGS
    assert given["data_dir"] == of["VOLUME"]
    check = re.search(r'/opt/tickwire/share/([\w.]+)"', of["HEALTHCHECK"])
    assert check
    assert (DEPLOY / check[1]).exists()
    assert f"runAsUser: {of['USER'].partition(':')[0]}\n" in (CHART / "templates/_helpers.tpl").read_text(
        "utf-8"
    )


def pins(name: str) -> dict[str, str]:
    """The version of each package that a lock pins."""
    return dict(
        re.findall(r"^([\w.-]+)==(\S+)", (ROOT / f"requirements/{name}.txt").read_text("utf-8"), re.MULTILINE)
    )


def test_the_image_has_every_extra_and_the_versions_that_are_tested() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *(one for name, of in extras.items() if name != "all" for one in of)]
    names = {re.split(r"[^\w.-]", one)[0].lower() for one in wanted}
    image = pins("image")
    assert names <= image.keys(), "run make lock"
    tested = pins("run") | pins("dev")
    assert {name: tested.get(name) for name in image} == image, "run make lock"


@pytest.mark.skipif(os.name != "posix", reason="it runs in a container")
def test_the_health_check_says_whether_a_server_is_ready() -> None:
    def check(port: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, DEPLOY / "healthcheck.py"],
            env=program_environment(TICKWIRE_PORT=str(port)),
            capture_output=True,
            text=True,
            check=False,
        )

    with AllTickServer() as server:
        port = int(server.url.rpartition(":")[2])
        assert check(port).returncode == 0
    done = check(port)
    assert done.returncode == 1
    assert done.stderr.startswith("It does not answer")


# What runs before servers start.
def prepare(folder: Path, *names: str, **more: str) -> str:
    """Runs prepare.sh for these data directories; returns the token of Prometheus."""
    token = folder / "scrape.token"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(
        ["sh", DEPLOY / "prepare.sh", *(folder / name for name in names)],  # noqa: S607
        env=program_environment(PATH=path, SCRAPE_TOKEN=str(token), HOME=str(folder), **more),
        capture_output=True,
        check=True,
    )
    assert token.stat().st_mode & 0o777 == 0o644
    return token.read_text("utf-8").strip()


@pytest.mark.skipif(os.name != "posix", reason="a script of the shell")
def test_a_server_is_prepared_once(tmp_path: Path) -> None:
    token = prepare(tmp_path, "data")
    assert re.fullmatch(r"tw_[\w-]+", token)
    assert (tmp_path / "data/token.key").stat().st_mode & 0o777 == 0o600
    assert prepare(tmp_path, "data") == token
    (tmp_path / "scrape.token").unlink()  # the volume is lost, the database is not
    assert prepare(tmp_path, "data") != token
    assert not (tmp_path / "bus.credentials").exists()


@pytest.mark.skipif(os.name != "posix", reason="a script of the shell")
def test_servers_of_one_database_get_the_same_key(tmp_path: Path, postgres: Postgres) -> None:
    more = {"TICKWIRE_DATABASE": postgres.schema(), "BUS_PASSWORD": "s3cret"}
    token = prepare(tmp_path, "one", "two", **more)
    keys = {(tmp_path / name / "token.key").read_bytes() for name in ("one", "two")}
    assert len(keys) == 1
    assert prepare(tmp_path, "one", "two", "three", **more) == token
    assert (tmp_path / "three/token.key").read_bytes() in keys
    credentials = tmp_path / "bus.credentials"
    assert credentials.read_text("utf-8") == "tickwire:s3cret\n"
    assert credentials.stat().st_mode & 0o777 == 0o600


# The chart.
def helm_values() -> Any:
    return read(CHART / "values.yaml")


def schema() -> Any:
    return json.loads((CHART / "values.schema.json").read_text("utf-8"))


def test_the_values_are_what_their_schema_says() -> None:
    jsonschema.Draft7Validator.check_schema(schema())
    jsonschema.validate(helm_values(), schema())


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("bus", "urls"), ["nats://me:secret@one:4222"]),
        (("database", "url"), "postgresql://me:secret@db/tickwire"),
        (("gateway", "settings"), {"port": 80}),
        (("gateway", "replica"), 2),
        (("market", "antiAffinity"), "never"),
    ],
    ids=str,
)
def test_values_that_would_not_work_are_refused(place: tuple[str, str], value: object) -> None:
    values = helm_values()
    values[place[0]][place[1]] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(values, schema())


def test_the_schema_knows_every_value_and_no_other() -> None:
    def names(of: Any, where: Any) -> None:
        if "$ref" in of:
            of = schema()["definitions"][of["$ref"].rpartition("/")[2]]
        if "properties" in of:
            assert {*of["properties"]} - {"global", "initialDelaySeconds", "timeoutSeconds"} <= {*where} | {
                "periodSeconds"
            }
            for name, value in where.items():
                names(of["properties"][name], value)

    names(schema(), helm_values())


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_template_names_values_and_parts_that_are_there(path: Path) -> None:
    text = path.read_text("utf-8")
    code = " ".join(re.findall(r"\{\{.*?\}\}", text, re.DOTALL))
    assert text.count("{{") == text.count("}}")
    opened = re.findall(r"\{\{-?\s*(if|with|range|define)\b", text)
    assert len(opened) == len(re.findall(r"\{\{-?\s*end\b", text))
    for names in re.findall(r"\.Values((?:\.\w+)+)", code):
        found = helm_values()
        for name in names[1:].split("."):
            if name in ("tls_cert", "tls_self_signed"):
                break
            assert name in found, f"{path.name} names .Values{names}"
            found = found[name]
    for of, names in re.findall(r"\.of((?:\.\w+))((?:\.\w+)*)", code):
        assert of[1:] in {**helm_values()["gateway"], **helm_values()["market"]}, of + names
    defined = {
        one for other in TEMPLATES for one in re.findall(r'define "([\w.]+)"', other.read_text("utf-8"))
    }
    assert {*re.findall(r'include "([\w.]+)"', code)} <= defined


def test_a_service_sets_no_settings() -> None:
    """Kubernetes would set TICKWIRE_PORT for one of that name, which is a setting of ours."""
    text = (CHART / "templates/_helpers.tpl").read_text("utf-8")
    assert "enableServiceLinks: false" in text


def test_settings_of_the_chart_exist_and_cannot_be_said_twice() -> None:
    text = (CHART / "templates/_helpers.tpl").read_text("utf-8")
    named = {name.lower() for name in re.findall(rf"name: {ENV_PREFIX}([A-Z_]+)\n", text)}
    assert named <= SETTINGS
    refused = {*schema()["definitions"]["settings"]["propertyNames"]["not"]["enum"]}
    assert named | {"host", "port", "upstream_token"} == refused
    values = helm_values()
    for given in (values["settings"], values["market"]["settings"], values["gateway"]["settings"]):
        assert given.keys() <= SETTINGS


def test_the_chart_is_of_this_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert read(CHART / "Chart.yaml")["appVersion"] == project["version"]


def rendered(*more: str) -> list[Any]:
    """What helm makes of the chart."""
    assert HELM is not None
    values = [f"{name}={value}" for name, value in GIVEN.items()] + [*more]
    done = subprocess.run(
        [
            HELM,
            "template",
            "here",
            CHART,
            "--kube-version",
            "1.31.0",
            *(word for one in values for word in ("--set", one)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [one for one in yaml.load_all(done.stdout, Strict) if one]


needs_helm = pytest.mark.skipif(HELM is None, reason="no helm")


@needs_helm
def test_helm_renders_the_chart() -> None:
    found = rendered()
    kinds = [one["kind"] for one in found]
    assert sorted(kinds) == [*["Deployment"] * 2, *["PodDisruptionBudget"] * 2, "Service"]
    for one in found:
        if one["kind"] != "Deployment":
            continue
        pod = one["spec"]["template"]["spec"]
        assert pod["enableServiceLinks"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        (server,) = pod["containers"]
        given = {each["name"]: each.get("value", "x") for each in server["env"]}
        assert settings_of(given).keys() <= SETTINGS
        assert len(given) == len(server["env"])
        gateway = given["TICKWIRE_ROLE"] == "gateway"
        assert ("readinessProbe" in server) is ("ports" in server) is gateway
        assert given["TICKWIRE_BUS"] == "nats://one:4222,nats://two:4222"
        if gateway:
            assert pod["terminationGracePeriodSeconds"] >= float(given["TICKWIRE_DRAIN_SECONDS"]) + 5 + 30


@needs_helm
def test_helm_renders_what_is_off_otherwise() -> None:
    found = rendered(
        *("market.persistence.enabled=true", "networkPolicy.enabled=true", "serviceMonitor.enabled=true"),
        *("serviceMonitor.token.secret=p", "bus.credentials.secret=b", "bus.ca.secret=c"),
        *(
            "gateway.settings.ring_bytes=134217728",
            "gateway.settings.close_delay=2.5",
            "market.antiAffinity=required",
        ),
    )
    kinds = [one["kind"] for one in found]
    assert {"StatefulSet", "NetworkPolicy", "ServiceMonitor"} <= {*kinds}
    (pod,) = (one["spec"]["template"]["spec"] for one in found if one["kind"] == "Deployment")
    given = {each["name"]: each.get("value") for each in pod["containers"][0]["env"]}
    assert given["TICKWIRE_RING_BYTES"] == "134217728"
    assert given["TICKWIRE_CLOSE_DELAY"] == "2.5"


@needs_helm
@pytest.mark.parametrize("left_out", [name for name in GIVEN if not name.endswith("[1]")])
def test_helm_says_what_is_missing(left_out: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(GIVEN, left_out)
    monkeypatch.delitem(GIVEN, "bus.urls[1]")
    with pytest.raises(AssertionError, match=re.escape(left_out.partition("[")[0])):
        rendered()
