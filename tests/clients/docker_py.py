#!/usr/bin/env python3
"""What programs do with docker-py. DOCKER_HOST says where; every name begins with SCOPE; HOSTS is the number of daemons."""
import io
import json
import os
import socket
import tarfile
import time

import docker
from docker.errors import APIError, ContainerError, ImageNotFound, NotFound
from docker.utils.socket import consume_socket_output, demux_adaptor, frames_iter

SCOPE = os.environ["SCOPE"]
HOSTS = int(os.environ.get("HOSTS", "1"))
LABELS = {"test": SCOPE}
OWN = {"label": f"test={SCOPE}"}
client = docker.from_env(timeout=60)


def name(what):
    return f"{SCOPE}-{what}"


def raises(kind, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")


def once_free(call):
    """A daemon prunes and measures for one client at a time and refuses the others."""
    for _ in range(100):
        try:
            return call()
        except APIError as error:
            if "already running" not in str(error):
                raise
            time.sleep(0.1)
    return call()


def sleeper(what, **more):
    return client.containers.run("busybox", "sleep 600", name=name(what), labels=LABELS, detach=True, init=True, **more)


def system():
    assert client.ping() is True
    version = client.version()
    assert version["ApiVersion"] == client.api.api_version and version["Os"] == "linux", version
    info = client.info()
    assert info["Containers"] >= info["ContainersRunning"] and info["NCPU"] >= 1, info


def runs():
    assert client.containers.run("busybox", "echo hi", labels=LABELS, remove=True) == b"hi\n"
    both = client.containers.run("busybox", ["sh", "-c", "echo out; echo err >&2"], stderr=True, labels=LABELS, remove=True)
    assert sorted(both.split()) == [b"err", b"out"], both
    failed = raises(ContainerError, client.containers.run, "busybox", "false", labels=LABELS, remove=True)
    assert failed.exit_status == 1
    ticker = client.containers.run("busybox", ["sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.2; done; exit 7"],
                                   name=name("ticker"), labels=LABELS, detach=True)
    assert b"".join(ticker.logs(stream=True, follow=True)) == b"1\n2\n3\n"
    assert ticker.wait()["StatusCode"] == 7
    assert ticker.logs(tail=1) == b"3\n"
    ticker.reload()
    assert ticker.status == "exited" and ticker.attrs["State"]["ExitCode"] == 7
    ticker.remove()


def errors():
    raises(NotFound, client.containers.get, name("nobody"))
    raises(ImageNotFound, client.images.get, name("nothing"))
    raises(ImageNotFound, client.api.create_container, name("nothing"))
    taken = sleeper("taken")
    conflict = raises(APIError, sleeper, "taken")
    assert conflict.status_code == 409 and "already in use" in conflict.explanation, conflict
    running = raises(APIError, taken.remove)
    assert running.status_code == 409 and "running container" in running.explanation, running
    assert taken.stop(timeout=1) is None and taken.start() is None
    taken.remove(force=True)
    raises(NotFound, taken.reload)


def execs(container):
    assert container.exec_run(["sh", "-c", "echo out; exit 3"]) == (3, b"out\n")
    assert container.exec_run(["sh", "-c", "echo out; echo err >&2"], demux=True).output == (b"out\n", b"err\n")
    assert container.exec_run("env", environment={"COLOUR": "green"}).output.find(b"COLOUR=green") >= 0
    streamed = container.exec_run(["sh", "-c", "seq 1000"], stream=True).output
    assert b"".join(streamed).split()[-1] == b"1000"
    stream = container.exec_run("cat", stdin=True, socket=True).output
    stream._sock.sendall(b"through the socket\n")
    stream._sock.shutdown(socket.SHUT_WR)
    frames = (demux_adaptor(*frame) for frame in frames_iter(stream, tty=False))
    assert consume_socket_output(frames, demux=True) == (b"through the socket\n", None)
    stream.close()


def attaches():
    talker = client.containers.create("busybox", ["sh", "-c", "echo one; echo two >&2; read x; echo got $x"],
                                      stdin_open=True, name=name("talker"), labels=LABELS)
    stdin = talker.attach_socket(params={"stdin": 1, "stream": 1})
    output = talker.attach(stream=True, demux=True)
    talker.start()
    stdin._sock.sendall(b"words\n")
    said = list(output)
    assert b"".join(err for _, err in said if err) == b"two\n", said
    assert b"".join(out for out, _ in said if out) == b"one\ngot words\n", said
    stdin.close()
    talker.wait()
    assert talker.logs(stderr=False) == b"one\ngot words\n"
    talker.remove(v=True)


def archives(container):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        entry = tarfile.TarInfo("letter")
        entry.size = 200_000
        tar.addfile(entry, io.BytesIO(b"x" * entry.size))
    assert container.put_archive("/tmp", packed.getvalue())
    chunks, stat = container.get_archive("/tmp/letter")
    assert stat["name"] == "letter" and stat["size"] == 200_000, stat
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
        assert tar.extractfile("letter").read() == b"x" * 200_000
    raises(NotFound, container.get_archive, "/nowhere")
    assert {"Path": "/tmp/letter", "Kind": 1} in container.diff()


def states(container):
    stats = container.stats(stream=False)
    assert stats["id"] == container.id and stats["memory_stats"]["usage"] > 0, stats
    moments = container.stats(stream=True, decode=True)
    assert [next(moments)["id"] for _ in range(2)] == [container.id] * 2
    moments.close()
    assert any("sleep 600" in " ".join(process) for process in container.top()["Processes"])
    container.rename(name("renamed"))
    assert client.containers.get(name("renamed")).id == container.id
    raises(NotFound, client.containers.get, name("main"))
    container.pause()
    container.reload()
    assert container.status == "paused"
    container.unpause()
    container.update(cpu_shares=512)
    container.reload()
    assert container.status == "running" and container.attrs["HostConfig"]["CpuShares"] == 512
    container.restart(timeout=0)
    listed = client.containers.list(filters=OWN)
    assert [each.id for each in listed] == [container.id], listed
    assert client.containers.list(filters={"name": name("renamed")}, sparse=True)[0].id == container.id


def commits(container):
    container.exec_run(["sh", "-c", "echo kept >/kept"])
    image = container.commit(name("commit"), "1", message="as it is", changes='LABEL made=by-commit')
    assert image.tags == [f"{name('commit')}:1"] and image.labels["made"] == "by-commit", image.attrs
    kept = client.containers.run(image.tags[0], "cat /kept", labels=LABELS, remove=True)
    assert kept == b"kept\n", kept
    client.images.remove(image.tags[0])


def images():
    busybox = client.images.get("busybox")
    assert busybox.tag(name("tagged"), "1") is True
    tags = [tag for image in client.images.list(name("tagged")) for tag in image.tags]
    assert f"{name('tagged')}:1" in tags, tags
    assert client.images.get(f"{name('tagged')}:1").history()[0]["Tags"]
    saved = b"".join(client.images.get(f"{name('tagged')}:1").save(named=f"{name('tagged')}:1"))
    with tarfile.open(fileobj=io.BytesIO(saved)) as tar:
        manifest = json.load(tar.extractfile("manifest.json"))
    assert manifest[0]["RepoTags"] == [f"{name('tagged')}:1"], manifest
    client.images.remove(f"{name('tagged')}:1")
    raises(ImageNotFound, client.images.get, f"{name('tagged')}:1")
    loaded = client.images.load(saved)
    assert loaded[0].tags.count(f"{name('tagged')}:1") == 1, loaded
    client.images.remove(f"{name('tagged')}:1")
    raises(ImageNotFound, client.images.remove, f"{name('tagged')}:1")


def builds():
    context = io.BytesIO()
    dockerfile = b"FROM busybox\nARG word\nCOPY note /note\nRUN echo $word >>/note\nCMD cat /note\n"
    with tarfile.open(fileobj=context, mode="w") as tar:
        for path, text in ("Dockerfile", dockerfile), ("note", b"copied\n"):
            entry = tarfile.TarInfo(path)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text))
    image, log = client.images.build(fileobj=io.BytesIO(context.getvalue()), custom_context=True, tag=name("built"),
                                     buildargs={"word": "given"}, labels=LABELS, rm=True, forcerm=True)
    assert any("Successfully built" in line.get("stream", "") for line in log)
    assert image.labels["test"] == SCOPE
    assert client.containers.run(name("built"), labels=LABELS, remove=True) == b"copied\ngiven\n"
    broken = io.BytesIO(b"FROM busybox\nRUN exit 9\n")
    error = raises(docker.errors.BuildError, client.images.build, fileobj=broken, labels=LABELS, forcerm=True)
    assert "returned a non-zero code: 9" in error.msg, error.msg
    client.images.remove(name("built"))


def networks(container):
    network = client.networks.create(name("net"), labels=LABELS, check_duplicate=True)
    assert [each.id for each in client.networks.list(filters=OWN)] == [network.id]
    assert client.networks.get(name("net")).attrs["Labels"] == LABELS
    other = sleeper("neighbour", network=network.name)
    assert client.containers.run("busybox", "ping -c 1 -W 5 " + name("neighbour"), network=name("net"), labels=LABELS,
                                 remove=True).find(b"1 packets received") > 0
    network.reload()
    assert network.containers == [other], network.attrs
    network.disconnect(other)
    network.connect(other, aliases=["friend"])
    assert client.containers.run("busybox", "nslookup friend", network=name("net"), labels=LABELS, remove=True)
    in_use = raises(APIError, network.remove)
    assert "has active endpoints" in in_use.explanation, in_use
    other.remove(force=True)
    network.remove()
    raises(NotFound, client.networks.get, name("net"))
    raises(NotFound, client.networks.get(container.attrs["HostConfig"]["NetworkMode"].replace("default", "bridge")).connect,
           name("nobody"))


def volumes():
    volume = client.volumes.create(name("vol"), labels=LABELS)
    assert [each.name for each in client.volumes.list(filters=OWN)] == [volume.name]
    mount = {volume.name: {"bind": "/data", "mode": "rw"}}
    client.containers.run("busybox", ["sh", "-c", "echo kept >/data/file"], volumes=mount, labels=LABELS, remove=True)
    user = sleeper("user", volumes=mount)
    assert user.exec_run("cat /data/file").output == b"kept\n"
    in_use = raises(APIError, volume.remove)
    assert in_use.status_code == 409 and "volume is in use" in in_use.explanation, in_use
    usage = once_free(client.df)
    assert [each["Name"] for each in usage["Volumes"]].count(volume.name) == 1
    assert user.id in [each["Id"] for each in usage["Containers"]]
    assert usage["LayersSize"] > 0 and any("busybox:latest" in (each["RepoTags"] or []) for each in usage["Images"])
    user.remove(force=True)
    volume.remove()
    raises(NotFound, client.volumes.get, name("vol"))


def events_and_prunes():
    begin = client.containers.run("busybox", "true", labels=LABELS, detach=True)
    begin.wait()
    begin.reload()
    happened = list(client.events(since=int(time.time()) - 60, until=int(time.time()) + 1, decode=True,
                                  filters={"container": begin.id, "type": "container"}))
    actions = [event["Action"] for event in happened]
    assert [action for action in actions if action in ("create", "start", "die")] == ["create", "start", "die"], actions
    pruned = once_free(lambda: client.containers.prune(filters=OWN))
    assert pruned["ContainersDeleted"] == [begin.id], pruned
    client.networks.create(name("idle"), labels=LABELS)
    assert once_free(lambda: client.networks.prune(filters=OWN))["NetworksDeleted"] == [name("idle")]
    client.volumes.create(name("idle"), labels=LABELS)
    assert once_free(lambda: client.volumes.prune(filters=OWN))["VolumesDeleted"] == [name("idle")]
    assert not once_free(lambda: client.images.prune(filters=OWN))["ImagesDeleted"]


def registry():
    address = os.environ["REGISTRY"]
    login = {"username": os.environ["REGISTRY_USER"], "password": os.environ["REGISTRY_PASSWORD"]}
    refused = raises(APIError, client.login, "nobody", "wrong", registry=address, reauth=True)
    assert "401" in str(refused) or "unauthorized" in str(refused).lower(), refused
    assert client.login(**login, registry=address)["Status"] == "Login Succeeded"
    repository = f"{address}/{name('pushed')}"
    client.images.get("busybox").tag(repository, "1")
    pushed = list(client.images.push(repository, "1", stream=True, decode=True))
    assert any("digest" in line.get("status", "") for line in pushed), pushed
    client.images.remove(f"{repository}:1")
    assert client.containers.run(f"{repository}:1", "echo pulled", labels=LABELS, remove=True) == b"pulled\n"
    assert f"{repository}:1" in client.images.pull(repository, "1").tags
    client.images.remove(f"{repository}:1")
    raises(APIError, client.images.pull, repository, "2")


def clean():
    for container in client.containers.list(all=True, filters=OWN, ignore_removed=True):
        container.remove(force=True, v=True)
    for network in client.networks.list(filters=OWN):
        network.remove()
    for volume in client.volumes.list(filters=OWN):
        volume.remove(force=True)
    for image in client.images.list():
        for tag in image.tags:
            if f"{SCOPE}-" in tag:
                client.images.remove(tag, force=True)


def everything():
    system()
    runs()
    errors()
    main = sleeper("main")
    execs(main)
    attaches()
    archives(main)
    states(main)
    commits(main)
    images()
    builds()
    networks(main)
    main.remove(force=True)
    volumes()
    events_and_prunes()
    if "REGISTRY" in os.environ:
        registry()


if __name__ == "__main__":
    try:
        everything()
    finally:
        clean()
    print("fine")
