#!/usr/bin/env node
// What programs do with dockerode. DOCKER_HOST says where; every name begins with SCOPE.
'use strict';
const assert = require('node:assert/strict');
const path = require('node:path');
const { once } = require('node:events');
const { PassThrough } = require('node:stream');
const { text } = require('node:stream/consumers');
const { setTimeout: pause } = require('node:timers/promises');
const Docker = require('dockerode');

const docker = new Docker();
const scope = process.env.SCOPE;
const name = (what) => `${scope}-${what}`;
const labels = { test: scope };
const own = { label: [`test=${scope}`] };

// Both streams of a connection without a terminal, to its end.
async function demux(stream) {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  docker.modem.demuxStream(stream, stdout, stderr);
  stream.on('end', () => { stdout.end(); stderr.end(); });
  return Promise.all([text(stdout), text(stderr)]);
}

const create = (what, Cmd, more) => docker.createContainer({ Image: 'busybox', name: name(what), Cmd, Labels: labels, ...more });

async function sleeper(what, more) {
  const container = await create(what, ['sleep', '600'], more);
  await container.start();
  return container;
}

const status = (code) => (error) => error.statusCode === code;

async function system() {
  assert.equal(String(await docker.ping()), 'OK');
  const version = await docker.version();
  assert.match(version.ApiVersion, /^1\.\d+$/);
  const info = await docker.info();
  assert.ok(info.Containers >= info.ContainersRunning && info.NCPU >= 1);
}

async function runs() {
  const output = new PassThrough();
  const said = text(output);
  const [result, container] = await docker.run('busybox', ['sh', '-c', 'echo hi; exit 4'], output,
    { name: name('run'), Labels: labels, Tty: true });
  output.end();
  assert.equal(result.StatusCode, 4);
  assert.equal(await said, 'hi\r\n');
  await container.remove();
}

async function attaches() {
  const quiet = await create('quiet', ['sh', '-c', 'echo one; echo two >&2']);
  const stream = await quiet.attach({ stream: true, stdout: true, stderr: true });
  const both = demux(stream);
  await quiet.start();
  assert.deepEqual(await both, ['one\n', 'two\n']);
  await quiet.remove();
  const cat = await create('cat', ['cat'], { OpenStdin: true, StdinOnce: true });
  const duplex = await cat.attach({ stream: true, stdin: true, stdout: true, stderr: true, hijack: true });
  const echoed = demux(duplex);
  await cat.start();
  duplex.write('through ');
  duplex.end('the socket\n');
  assert.deepEqual(await echoed, ['through the socket\n', '']);
  assert.equal((await cat.wait()).StatusCode, 0);
  await cat.remove({ v: true });
}

async function logs() {
  const ticker = await create('ticker', ['sh', '-c', 'for i in 1 2 3; do echo $i; sleep 0.2; done']);
  await ticker.start();
  const follow = await ticker.logs({ follow: true, stdout: true, stderr: true });
  assert.deepEqual(await demux(follow), ['1\n2\n3\n', '']);
  await ticker.wait();
  const last = await ticker.logs({ stdout: true, tail: 1 });
  assert.equal(last.subarray(8).toString(), '3\n');
  await ticker.remove();
}

async function execs(container) {
  const plain = await container.exec({ Cmd: ['sh', '-c', 'echo out; echo err >&2; exit 5'], AttachStdout: true, AttachStderr: true });
  assert.deepEqual(await demux(await plain.start({})), ['out\n', 'err\n']);
  assert.equal((await plain.inspect()).ExitCode, 5);
  const reader = await container.exec({ Cmd: ['wc', '-c'], AttachStdin: true, AttachStdout: true });
  const duplex = await reader.start({ hijack: true, stdin: true });
  const counted = demux(duplex);
  duplex.end('x'.repeat(100_000));
  assert.deepEqual(await counted, ['100000\n', '']);
  const missing = await container.exec({ Cmd: ['no-such-command'], AttachStdout: true });
  const [said] = await demux(await missing.start({}));
  assert.match(said + (await missing.inspect()).ExitCode, /executable file not found|126|127/);
}

async function states(container) {
  const inspected = await container.inspect();
  assert.equal(inspected.Name, `/${name('main')}`);
  assert.ok(inspected.State.Running);
  const stats = await container.stats({ stream: false });
  assert.equal(stats.id, inspected.Id);
  assert.ok((await container.top()).Processes.flat().join(' ').includes('sleep 600'));
  await assert.rejects(docker.getContainer(name('nobody')).inspect(), status(404));
  await assert.rejects(create('main', ['true']), status(409));
  const listed = await docker.listContainers({ all: true, filters: own });
  assert.deepEqual(listed.map((each) => each.Id), [inspected.Id]);
}

async function events(container) {
  const stream = await docker.getEvents({ filters: { container: [name('main')], event: ['kill', 'die'] } });
  let seen = '';
  stream.on('data', (chunk) => { seen += chunk; });
  const waiting = container.wait();
  await container.kill({ signal: 'KILL' });
  assert.equal((await waiting).StatusCode, 137);
  while (!seen.includes('"die"')) await once(stream, 'data');
  stream.destroy();
  const actions = seen.trim().split('\n').map((line) => JSON.parse(line).Action);
  assert.deepEqual(actions, ['kill', 'die']);
  await container.remove({ force: true });
}

const finished = (stream) => new Promise((resolve, reject) => {
  docker.modem.followProgress(stream, (error, output) => (error ? reject(error) : resolve(output)));
});

async function builds() {
  const context = path.join(__dirname, 'compose', 'web');
  const stream = await docker.buildImage({ context, src: ['Dockerfile', 'page'] },
    { t: name('built'), labels: JSON.stringify(labels), forcerm: true });
  const lines = await finished(stream);
  assert.ok(lines.some((line) => /Successfully tagged/.test(line.stream)), JSON.stringify(lines));
  const images = await docker.listImages({ filters: own });
  assert.ok(images.some((image) => image.RepoTags.includes(`${name('built')}:latest`)));
  const output = new PassThrough();
  const said = text(output);
  const [, container] = await docker.run(name('built'), ['cat', '/www/index.html'], output, { Labels: labels, Tty: true });
  output.end();
  assert.match(await said, /the page/);
  await container.remove();
  await docker.getImage(name('built')).remove();
}

async function objects() {
  const volume = await docker.createVolume({ Name: name('vol'), Labels: labels });
  assert.equal((await docker.getVolume(name('vol')).inspect()).Name, name('vol'));
  assert.deepEqual((await docker.listVolumes({ filters: own })).Volumes.map((each) => each.Name), [name('vol')]);
  const network = await docker.createNetwork({ Name: name('net'), Labels: labels, CheckDuplicate: true });
  assert.deepEqual((await docker.listNetworks({ filters: own })).map((each) => each.Id), [network.id]);
  const member = await sleeper('member', { HostConfig: { Binds: [`${name('vol')}:/data`], Init: true } });
  await network.connect({ Container: member.id, EndpointConfig: { Aliases: ['friend'] } });
  assert.deepEqual(Object.keys((await network.inspect()).Containers), [member.id]);
  await assert.rejects(volume.remove(), status(409));
  await network.disconnect({ Container: member.id });
  await member.remove({ force: true });
  await network.remove();
  await assert.rejects(network.inspect(), status(404));
  await volume.remove();
  await assert.rejects(volume.inspect(), status(404));
}

async function measures() {
  for (let tries = 0; tries < 100; tries++) {
    try {
      const usage = await docker.df();
      return assert.ok(usage.Images.some((image) => image.RepoTags?.includes('busybox:latest')));
    } catch (error) {
      // A daemon measures for one client at a time.
      if (!/already running/.test(error.message)) throw error;
      await pause(100);
    }
  }
  throw new Error('the daemon never finished measuring');
}

async function registry(serveraddress) {
  const authconfig = { username: process.env.REGISTRY_USER, password: process.env.REGISTRY_PASSWORD, serveraddress };
  const repo = `${serveraddress}/${name('pushed')}`;
  await docker.getImage('busybox').tag({ repo, tag: '1' });
  const pushed = await finished(await docker.getImage(repo).push({ tag: '1', authconfig }));
  assert.ok(pushed.some((line) => line.aux?.Digest), JSON.stringify(pushed));
  await docker.getImage(`${repo}:1`).remove();
  const pulled = await finished(await docker.pull(`${repo}:1`, { authconfig }));
  assert.ok(pulled.some((line) => /^Status: Downloaded/.test(line.status)), JSON.stringify(pulled));
  await docker.getImage(`${repo}:1`).remove();
  await assert.rejects(docker.pull(`${repo}:2`, { authconfig }), status(404));
}

async function clean() {
  for (const each of await docker.listContainers({ all: true, filters: own })) {
    await docker.getContainer(each.Id).remove({ force: true, v: true });
  }
  for (const each of await docker.listNetworks({ filters: own })) await docker.getNetwork(each.Id).remove();
  for (const each of (await docker.listVolumes({ filters: own })).Volumes ?? []) await docker.getVolume(each.Name).remove();
  const tags = (await docker.listImages()).flatMap((image) => image.RepoTags ?? []);
  for (const tag of tags.filter((each) => each.includes(name('')))) await docker.getImage(tag).remove({ force: true });
}

async function main() {
  try {
    await system();
    await runs();
    await attaches();
    await logs();
    const container = await sleeper('main', { HostConfig: { Init: true } });
    await execs(container);
    await states(container);
    await events(container);
    await builds();
    await objects();
    await measures();
    if (process.env.REGISTRY) await registry(process.env.REGISTRY);
  } finally {
    await clean();
  }
}

main().then(() => console.log('fine'));
