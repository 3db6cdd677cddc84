#!/usr/bin/env python3
"""A test suite's use of testcontainers. DOCKER_HOST says where; every name begins with SCOPE.

With CLIENT_PORTS=1 published ports must answer at the address of DOCKER_HOST.
"""
import os
import tempfile
import urllib.request
from pathlib import Path

from testcontainers.core.container import DockerContainer
from testcontainers.core.docker_client import DockerClient
from testcontainers.core.network import Network
from testcontainers.core.wait_strategies import HttpWaitStrategy, LogMessageWaitStrategy

SCOPE = os.environ["SCOPE"]
PORTS = os.environ.get("CLIENT_PORTS") == "1"
LABELS = {"test": SCOPE}
SERVE = "mkdir /www; cp /etc/greeting /www/index.html; echo about to serve; exec httpd -f -p 8080 -h /www"


def name(what):
    return f"{SCOPE}-{what}"


def server(network, folder):
    greeting = folder / "greeting"
    greeting.write_text("good morning\n")
    return (DockerContainer("busybox:latest", name=name("server"), network=network, network_aliases=["server"])
            .with_command(["sh", "-c", SERVE]).with_env("MOOD", "good").with_exposed_ports(8080)
            .with_copy_into_container(greeting, "/etc/greeting").with_kwargs(labels=LABELS, init=True)
            .waiting_for(HttpWaitStrategy(8080) if PORTS else LogMessageWaitStrategy("about to serve")))


def use(container, network, folder):
    assert container.get_logs() == (b"about to serve\n", b"")
    assert container.exec(["sh", "-c", "echo $MOOD; exit 3"]) == (3, b"good\n")
    container.copy_into_container(b"written later\n", "/www/later")
    container.copy_from_container("/www/later", folder / "later")
    assert (folder / "later").read_text() == "written later\n"
    port = container.get_exposed_port(8080)
    assert 1024 < port < 65536, port
    if PORTS:
        url = f"http://{container.get_container_host_ip()}:{port}/"
        assert urllib.request.urlopen(url, timeout=10).read() == b"good morning\n"
        assert urllib.request.urlopen(url + "later", timeout=10).read() == b"written later\n"
    fetch = "for i in $(seq 50); do wget -q -O - http://server:8080/ && break; sleep 0.1; done"
    visitor = DockerContainer("busybox:latest", name=name("visitor"), network=network).with_kwargs(labels=LABELS)
    with visitor.with_command(["sh", "-c", fetch]) as visit:
        assert visit.wait() == 0
        assert visit.get_logs()[0] == b"good morning\n"


def main():
    with tempfile.TemporaryDirectory() as folder, Network(docker_network_kw={"labels": LABELS}) as network:
        with server(network, Path(folder)) as container:
            use(container, network, Path(folder))
    left = DockerClient().client.containers.list(all=True, filters={"label": f"test={SCOPE}"})
    assert left == [], left


if __name__ == "__main__":
    main()
    print("fine")
