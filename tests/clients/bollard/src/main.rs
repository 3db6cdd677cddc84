//! What Rust programs do with bollard. `DOCKER_HOST` says where; every name begins with `SCOPE`.

use std::{collections::HashMap, io::Write as _};

use anyhow::{Context as _, Result, bail, ensure};
use bollard::{
    Docker,
    container::LogOutput,
    errors::Error,
    exec::{StartExecOptions, StartExecResults},
    models::{
        ContainerCreateBody, ExecConfig, HostConfig, NetworkConnectRequest, NetworkCreateRequest,
        NetworkDisconnectRequest, VolumeCreateRequest,
    },
    query_parameters::{
        AttachContainerOptionsBuilder, CreateContainerOptionsBuilder, EventsOptionsBuilder,
        InspectContainerOptions, InspectNetworkOptions, ListContainersOptionsBuilder,
        ListImagesOptionsBuilder, ListNetworksOptionsBuilder, ListVolumesOptionsBuilder,
        LogsOptionsBuilder, RemoveContainerOptionsBuilder, RemoveVolumeOptions,
        StartContainerOptions, WaitContainerOptions,
    },
};
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use tokio::io::AsyncWriteExt as _;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let program = Program {
        docker: Docker::connect_with_http_defaults()?
            .negotiate_version()
            .await?,
        scope: std::env::var("SCOPE").context("SCOPE is not set")?,
    };
    let outcome = program.everything().await;
    let cleaned = program.clean().await;
    outcome.and(cleaned)?;
    writeln!(std::io::stdout(), "fine")?;
    Ok(())
}

struct Program {
    docker: Docker,
    scope: String,
}

type Filters = HashMap<String, Vec<String>>;

impl Program {
    async fn everything(&self) -> Result<()> {
        self.system().await?;
        self.attach().await?;
        let sleeper = self.create("sleeper", &["sleep", "600"]).await?;
        self.start(&sleeper).await?;
        self.exec(&sleeper).await?;
        self.lists(&sleeper).await?;
        self.networks(&sleeper).await?;
        self.volumes().await?;
        self.end(&sleeper).await
    }

    fn name(&self, what: &str) -> String {
        format!("{}-{what}", self.scope)
    }

    fn labels(&self) -> HashMap<String, String> {
        HashMap::from([("test".to_owned(), self.scope.clone())])
    }

    fn own(&self) -> Filters {
        HashMap::from([("label".to_owned(), vec![format!("test={}", self.scope)])])
    }

    async fn system(&self) -> Result<()> {
        ensure!(self.docker.ping().await? == "OK");
        let version = self.docker.version().await?;
        ensure!(version.api_version == Some(self.docker.client_version().to_string()));
        let info = self.docker.info().await?;
        ensure!(info.containers >= info.containers_running && info.ncpu > Some(0));
        let images = ListImagesOptionsBuilder::default().all(true).build();
        let images = self.docker.list_images(Some(images)).await?;
        let busybox = |tags: &Vec<String>| tags.iter().any(|tag| tag == "busybox:latest");
        ensure!(images.iter().any(|image| busybox(&image.repo_tags)));
        ensure!(self.docker.inspect_image("busybox").await?.id.is_some());
        refused(404, self.docker.inspect_image(&self.name("nothing")).await)
    }

    async fn create(&self, what: &str, command: &[&str]) -> Result<String> {
        self.create_with(what, command, HostConfig::default()).await
    }

    async fn create_with(&self, what: &str, command: &[&str], host: HostConfig) -> Result<String> {
        let options = CreateContainerOptionsBuilder::default().name(&self.name(what));
        let body = ContainerCreateBody {
            image: Some("busybox".to_owned()),
            cmd: Some(words(command)),
            labels: Some(self.labels()),
            open_stdin: Some(true),
            stdin_once: Some(true),
            host_config: Some(HostConfig {
                init: Some(true),
                ..host
            }),
            ..Default::default()
        };
        let options = Some(options.build());
        let created = self.docker.create_container(options, body).await?;
        Ok(created.id)
    }

    async fn start(&self, id: &str) -> Result<()> {
        let started = self
            .docker
            .start_container(id, None::<StartContainerOptions>);
        Ok(started.await?)
    }

    async fn remove(&self, id: &str) -> Result<()> {
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true);
        let options = Some(options.build());
        Ok(self.docker.remove_container(id, options).await?)
    }

    /// Input and output while it runs, its logs and its exit code afterwards.
    async fn attach(&self) -> Result<()> {
        let script = "cat; echo done >&2; exit 3";
        let id = self.create("attached", &["sh", "-c", script]).await?;
        let options = AttachContainerOptionsBuilder::default()
            .stdin(true)
            .stdout(true)
            .stderr(true)
            .stream(true);
        let options = Some(options.build());
        let mut attached = self.docker.attach_container(&id, options).await?;
        self.start(&id).await?;
        attached.input.write_all(b"first\nsecond\n").await?;
        attached.input.shutdown().await?;
        let said = gather(attached.output).await?;
        ensure!(
            said == ("first\nsecond\n".into(), "done\n".into()),
            "{said:?}"
        );
        let waited = self
            .docker
            .wait_container(&id, None::<WaitContainerOptions>);
        match waited.try_collect::<Vec<_>>().await {
            Err(Error::DockerContainerWaitError { code: 3, .. }) => {}
            other => bail!("the wait said {other:?}"),
        }
        let options = LogsOptionsBuilder::default().stdout(true);
        let logged = gather(self.docker.logs(&id, Some(options.build()))).await?;
        ensure!(
            logged == ("first\nsecond\n".into(), String::new()),
            "{logged:?}"
        );
        self.remove(&id).await
    }

    async fn exec(&self, id: &str) -> Result<()> {
        let config = ExecConfig {
            cmd: Some(words(&["sh", "-c", "wc -c; echo err >&2; exit 5"])),
            attach_stdin: Some(true),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            ..Default::default()
        };
        let exec = self.docker.create_exec(id, config).await?.id;
        let started = self.docker.start_exec(&exec, None::<StartExecOptions>);
        let StartExecResults::Attached { output, mut input } = started.await? else {
            bail!("the exec is not attached");
        };
        input.write_all(&[b'x'; 10_000]).await?;
        input.shutdown().await?;
        let said = gather(output).await?;
        ensure!(said == ("10000\n".into(), "err\n".into()), "{said:?}");
        ensure!(self.docker.inspect_exec(&exec).await?.exit_code == Some(5));
        Ok(())
    }

    async fn lists(&self, id: &str) -> Result<()> {
        let inspect = async |what| {
            let options = None::<InspectContainerOptions>;
            let name = self.name(what);
            self.docker.inspect_container(&name, options).await
        };
        let inspected = inspect("sleeper").await?;
        ensure!(inspected.id.as_deref() == Some(id));
        ensure!(inspected.state.and_then(|state| state.running) == Some(true));
        refused(404, inspect("nobody").await)?;
        let options = ListContainersOptionsBuilder::default().filters(&self.own());
        let listed = self.docker.list_containers(Some(options.build())).await?;
        let ids: Vec<_> = listed.iter().map(|each| each.id.as_deref()).collect();
        ensure!(ids == [Some(id)], "{ids:?}");
        match self.create("sleeper", &["true"]).await {
            Err(error) if format!("{error:#}").contains("is already in use") => Ok(()),
            other => bail!("the second of one name: {other:?}"),
        }
    }

    async fn networks(&self, id: &str) -> Result<()> {
        let name = self.name("net");
        let config = NetworkCreateRequest {
            name: name.clone(),
            labels: Some(self.labels()),
            ..Default::default()
        };
        let network = self.docker.create_network(config).await?.id;
        let options = ListNetworksOptionsBuilder::default().filters(&self.own());
        let listed = self.docker.list_networks(Some(options.build())).await?;
        ensure!(listed.len() == 1 && listed[0].id.as_ref() == Some(&network));
        let member = HostConfig {
            network_mode: Some(name.clone()),
            ..Default::default()
        };
        let member = self
            .create_with("member", &["sleep", "600"], member)
            .await?;
        self.start(&member).await?;
        let inspected = self
            .docker
            .inspect_network(&name, None::<InspectNetworkOptions>);
        let members = inspected.await?.containers.unwrap_or_default();
        ensure!(members.keys().eq([&member]), "{members:?}");
        let disconnect = NetworkDisconnectRequest {
            container: member.clone(),
            ..Default::default()
        };
        self.docker.disconnect_network(&network, disconnect).await?;
        let connect = NetworkConnectRequest {
            container: member.clone(),
            ..Default::default()
        };
        self.docker.connect_network(&network, connect).await?;
        self.remove(&member).await?;
        self.docker.remove_network(&network).await?;
        let gone = self
            .docker
            .inspect_network(&name, None::<InspectNetworkOptions>);
        refused(404, gone.await)?;
        self.exec(id).await
    }

    async fn volumes(&self) -> Result<()> {
        let name = self.name("vol");
        let config = VolumeCreateRequest {
            name: Some(name.clone()),
            labels: Some(self.labels()),
            ..Default::default()
        };
        self.docker.create_volume(config).await?;
        let options = ListVolumesOptionsBuilder::default().filters(&self.own());
        let listed = self.docker.list_volumes(Some(options.build())).await?;
        let names: Vec<_> = listed
            .volumes
            .iter()
            .flatten()
            .map(|each| &each.name)
            .collect();
        ensure!(names == [&name], "{names:?}");
        let host = HostConfig {
            binds: Some(vec![format!("{name}:/data")]),
            ..Default::default()
        };
        let user = self.create_with("user", &["true"], host).await?;
        let remove = || {
            self.docker
                .remove_volume(&name, None::<RemoveVolumeOptions>)
        };
        refused(409, remove().await)?;
        self.remove(&user).await?;
        remove().await?;
        refused(404, self.docker.inspect_volume(&name).await)
    }

    /// The events of a container that is killed.
    async fn end(&self, id: &str) -> Result<()> {
        let own = HashMap::from([("container".to_owned(), vec![id.to_owned()])]);
        let options = EventsOptionsBuilder::default().filters(&own).build();
        let mut events = Box::pin(self.docker.events(Some(options)));
        let watch = async {
            let mut seen = Vec::new();
            while let Some(event) = events.next().await {
                seen.extend(event?.action);
                if seen.last().is_some_and(|action| action == "destroy") {
                    break;
                }
            }
            Ok::<_, anyhow::Error>(seen)
        };
        // The removal must not overtake the request for the events; an exec takes longer than that.
        let (seen, removed) = tokio::join!(watch, async {
            self.exec(id).await?;
            self.remove(id).await
        });
        removed?;
        let seen = seen?;
        for action in ["kill", "die", "destroy"] {
            ensure!(seen.iter().any(|each| each == action), "{action}: {seen:?}");
        }
        Ok(())
    }

    async fn clean(&self) -> Result<()> {
        let options = ListContainersOptionsBuilder::default().all(true);
        let options = options.filters(&self.own()).build();
        for container in self.docker.list_containers(Some(options)).await? {
            self.remove(&container.id.unwrap_or_default()).await?;
        }
        let options = ListNetworksOptionsBuilder::default().filters(&self.own());
        for network in self.docker.list_networks(Some(options.build())).await? {
            let id = network.id.unwrap_or_default();
            self.docker.remove_network(&id).await?;
        }
        let options = ListVolumesOptionsBuilder::default().filters(&self.own());
        let volumes = self.docker.list_volumes(Some(options.build())).await?;
        for volume in volumes.volumes.unwrap_or_default() {
            let options = None::<RemoveVolumeOptions>;
            self.docker.remove_volume(&volume.name, options).await?;
        }
        Ok(())
    }
}

/// What was written to standard output and standard error.
async fn gather(stream: impl Stream<Item = Result<LogOutput, Error>>) -> Result<(String, String)> {
    let mut said = (String::new(), String::new());
    let mut stream = Box::pin(stream);
    while let Some(output) = stream.try_next().await? {
        match &output {
            LogOutput::StdErr { .. } => said.1.push_str(&output.to_string()),
            _ => said.0.push_str(&output.to_string()),
        }
    }
    Ok(said)
}

/// Succeeds when the server refused with this status.
fn refused<T>(status: u16, result: Result<T, Error>) -> Result<()> {
    match result.err() {
        Some(Error::DockerResponseServerError { status_code, .. }) if status_code == status => {
            Ok(())
        }
        other => bail!("expected status {status}, got {other:?}"),
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}
