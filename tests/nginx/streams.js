// SPDX-License-Identifier: Apache-2.0
// streams.js --port PORT --client-key FILE --id ID: one HTTP/2 connection with 100 streams at once, right and wrong
// ones mixed, in an order that is none. Each must get the answer that is its own.
'use strict';
const http2 = require('http2');
const tls = require('tls');
const p = require('../interop/node/protocol.js');

const o = p.options(process.argv.slice(2));
const socket = tls.connect({ port: Number(o.port), host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['h2'] });

function fail(words) {
    console.error(words);
    process.exit(1);
}

function request(session, authorization) {
    return new Promise((resolve, reject) => {
        const stream = session.request({ ':path': '/secret', ...(authorization && { authorization }) });
        let body = '';
        let head;
        stream.on('response', (h) => { head = h; });
        stream.on('data', (d) => { body += d; });
        stream.on('end', () => resolve({ status: head[':status'], body, info: head['authentication-info'] }));
        stream.on('error', reject);
        stream.end();
    });
}

async function main() {
    const channel = p.v1(socket.exportKeyingMaterial.bind(socket), o.client.key, o.client.id, o.hash);
    const session = http2.connect('https://localhost', { createConnection: () => socket });
    const b64url = (bytes) => bytes.toString('base64url');
    const made = (n, proof, check) => `EKMOTP k=${b64url(o.client.id)}, n=${n}, p=${b64url(proof)}, v=${b64url(check)}`;
    const flip = (bytes) => Buffer.concat([Buffer.from([bytes[0] ^ 1]), bytes.subarray(1)]);
    const right = (n) => made(n, channel.clientProof(n), channel.check);
    const wrong = {
        replay: right,
        'one bit': (n) => made(n + 1000, flip(channel.clientProof(n + 1000)), channel.check),
        'other session': (n) => made(n, channel.clientProof(n), flip(channel.check)),
        malformed: () => 'EKMOTP n=1',
        nothing: () => undefined,
    };
    let accepted = 0;
    let refused = 0;
    for (let round = 0; round < 9; round++) {
        const asked = [];
        for (let i = 1; i <= 50; i++) {
            const n = round * 50 + i;
            const kind = Object.keys(wrong)[i % 5];
            // What is replayed comes behind its twin, in the same flight.
            const at = i * 7 % 50;
            asked.push({ n, at, authorization: right(n) }, { kind, at: at + 0.5, authorization: wrong[kind](n) });
        }
        asked.sort((a, b) => a.at - b.at);
        await Promise.all(asked.map(async ({ n, kind, authorization }) => {
            const r = await request(session, authorization);
            if (n) {
                if (r.status !== 200 || r.body !== `secret of ${o.id}` || r.info !== 'p=' + b64url(channel.serverProof(n)))
                    fail(`n = ${n}: ${JSON.stringify(r)}`);
                accepted++;
            } else {
                if (r.status !== 401 || r.info || r.body.includes('secret')) fail(`${kind}: ${JSON.stringify(r)}`);
                refused++;
            }
        }));
    }
    console.log(`one connection, 100 streams at once: ${accepted} let in, ${refused} refused`);
    session.close();
}

socket.on('secureConnect', () => main().catch((e) => fail(e.stack)));
socket.on('error', (e) => fail(e.stack));
