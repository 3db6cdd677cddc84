#!/usr/bin/env node
// A test suite's use of testcontainers. DOCKER_HOST says where; every name begins with SCOPE.
// With CLIENT_PORTS=1 published ports must answer at the address of DOCKER_HOST.
'use strict';
const assert = require('node:assert/strict');
const { once } = require('node:events');
const { text } = require('node:stream/consumers');
const { GenericContainer, Network, Wait } = require('testcontainers');

const name = (what) => `${process.env.SCOPE}-${what}`;
const labels = { test: process.env.SCOPE };
const ports = process.env.CLIENT_PORTS === '1';
const serve = 'mkdir /www; cp /etc/greeting /www/index.html; echo about to serve; exec httpd -f -p 8080 -h /www';

const server = (network) => new GenericContainer('busybox:latest')
  .withName(name('server'))
  .withLabels(labels)
  .withNetwork(network)
  .withNetworkAliases('server')
  .withEnvironment({ MOOD: 'good' })
  .withCopyContentToContainer([{ content: 'good morning\n', target: '/etc/greeting' }])
  .withCommand(['sh', '-c', serve])
  .withExposedPorts(8080)
  .withWaitStrategy(ports ? Wait.forListeningPorts() : Wait.forLogMessage('about to serve'));

const visitor = (network) => new GenericContainer('busybox:latest')
  .withName(name('visitor'))
  .withLabels(labels)
  .withNetwork(network)
  .withCommand(['sh', '-c', 'for i in $(seq 50); do wget -q -O - http://server:8080/ && break; sleep 0.1; done'])
  .withWaitStrategy(Wait.forOneShotStartup());

async function fetched(container, path) {
  const response = await fetch(`http://${container.getHost()}:${container.getMappedPort(8080)}${path}`);
  return response.text();
}

async function use(container, network) {
  const result = await container.exec(['sh', '-c', 'echo $MOOD; exit 3']);
  assert.deepEqual([result.output, result.exitCode], ['good\n', 3]);
  const [line] = await once(await container.logs(), 'data');
  assert.match(String(line), /about to serve/);
  await container.copyContentToContainer([{ content: 'written later\n', target: '/www/later' }]);
  assert.match(await text(await container.copyArchiveFromContainer('/www/later')), /written later\n/);
  assert.ok(container.getMappedPort(8080) > 1024);
  if (ports) {
    assert.equal(await fetched(container, '/'), 'good morning\n');
    assert.equal(await fetched(container, '/later'), 'written later\n');
  }
  const visit = await visitor(network).start();
  try {
    assert.match(await text(await visit.logs()), /good morning\n/);
  } finally {
    await visit.stop();
  }
}

async function main() {
  const network = await new Network({ nextUuid: () => name('net') }).start();
  try {
    const container = await server(network).start();
    try {
      await use(container, network);
      await container.restart({ timeout: 0 });
      assert.equal((await container.exec(['cat', '/www/later'])).output, 'written later\n');
    } finally {
      await container.stop({ timeout: 0 });
    }
  } finally {
    await network.stop();
  }
}

// testcontainers' streams do not keep a program alive, as a test runner does.
const alive = setInterval(() => {}, 1000);
main().then(() => console.log('fine')).finally(() => clearInterval(alive));
