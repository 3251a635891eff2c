// node server.js WHO tcp|udp ADDRESS…   serves as WHO, having asked itself at these addresses
// node server.js - client ADDRESS…      asks others
'use strict';
const cluster = require('cluster');
const dgram = require('dgram');
const http = require('http');
const net = require('net');

const [who, mode, ...addresses] = process.argv.slice(2);
const bare = (address) => address.replace(/^::ffff:/, '');
const FOREIGN = who === 'who-host' ? '10.0.0.77' : '10.0.0.1';

// How a connection went, from both ends.
function ask(options) {
  return new Promise((resolve) => {
    const socket = net.connect({ port: 8082, ...options });
    let ends;
    let answer = '';
    socket.on('connect', () => {
      ends = `${bare(socket.localAddress)} to ${bare(socket.remoteAddress)}`;
      socket.write('?\n');
    });
    socket.on('data', (data) => { answer += data; });
    socket.on('error', (error) => resolve(`${options.host}: ${error.code}`));
    socket.on('close', () => ends && resolve(`${ends}: ${answer}`));
  });
}

const answer = (socket) => `${who}. ${bare(socket.remoteAddress)} ${bare(socket.localAddress)}`;
const plain = (socket) => {
  socket.on('error', () => {});
  socket.once('data', () => socket.end(answer(socket)));
};
const web = (request, response) => response.end(answer(request.socket));

function listen(server, options) {
  return new Promise((resolve, reject) => {
    server.on('error', reject);
    server.listen(options, () => {
      console.log('listening', JSON.stringify(server.address()));
      resolve();
    });
  });
}

async function tcp() {
  await listen(http.createServer(web), { port: 8080 });
  await listen(http.createServer(web), { port: 8081, host: '127.0.0.1' });
  await listen(http.createServer(web), { port: 8081, host: '::1' });
  await listen(net.createServer(plain), { port: 8082, host: '0.0.0.0' });
  await listen(net.createServer(plain), { port: 8082, host: '::', ipv6Only: true });
  try {
    await listen(net.createServer(plain), { port: 8084, host: FOREIGN });
  } catch (error) {
    console.log('foreign', error.code);
  }
  // Two workers share a port: the first of them has it opened by the primary.
  for (let n = 0; n < 2; n++) {
    const worker = cluster.fork();
    await new Promise((resolve) => worker.once('listening', resolve));
  }
  for (const host of ['127.0.0.1', '::1', 'localhost', '0.0.0.0', '::', ...addresses]) {
    console.log('asked', host, await ask({ host }));
  }
  for (const localAddress of addresses) {
    const host = addresses.find((address) => net.isIP(address) === net.isIP(localAddress));
    console.log('asked from', localAddress, await ask({ host, localAddress }));
  }
  console.log('asked from another', await ask({ host: '10.0.0.100', localAddress: FOREIGN }));
}

async function datagrams(type, options) {
  const socket = dgram.createSocket({ type, ...options });
  socket.on('message', (_, from) => {
    socket.send(`${who}. ${bare(from.address)}`, from.port, from.address);
  });
  await new Promise((resolve) => socket.bind(options.port, resolve));
  console.log('bound', JSON.stringify(socket.address()));
}

// From an unbound socket, and from a connected one.
async function udpAsk(address, connected) {
  const socket = dgram.createSocket(net.isIPv6(address) ? 'udp6' : 'udp4');
  const got = new Promise((resolve) => {
    socket.on('message', (text, from) => resolve(`${from.address}: ${text}`));
    socket.on('error', (error) => resolve(error.code));
  });
  if (connected) {
    await new Promise((resolve) => socket.connect(5301, address, resolve));
    socket.send('?');
  } else {
    socket.send('?', 5301, address);
  }
  const text = await got;
  const local = connected ? ` from ${socket.address().address}` : '';
  socket.close();
  return text + local;
}

async function udp() {
  await datagrams('udp4', { port: 5300 });
  await datagrams('udp6', { port: 5300, ipv6Only: true });
  await datagrams('udp6', { port: 5301 });
  for (const address of ['127.0.0.1', '::1', ...addresses]) {
    console.log('asked', address, await udpAsk(address, false));
    console.log('asked, connected', address, await udpAsk(address, true));
  }
}

async function main() {
  if (cluster.isWorker) {
    net.createServer(plain).listen(8083);
    return;
  }
  if (mode === 'client') {
    for (const host of addresses) console.log(await ask({ host }));
    return;
  }
  await (mode === 'tcp' ? tcp() : udp());
  console.log('ready');
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
