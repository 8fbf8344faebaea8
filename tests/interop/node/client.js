// SPDX-License-Identifier: Apache-2.0
// client.js --url URL --ca FILE --client-key FILE [--id ID] [--hash H] [--profile P] [--tls 1.2|1.3]
//           [--cipher aes128|aes256|chacha20] [--event resumed]
// Two requests that must be accepted, then what must be refused: one bit of the proof changed; the same
// credentials again; the same credentials on a second connection, which resumes the first one's session where --event says so. Exits 0 if the server did all that.
'use strict';
const https = require('https');
const fs = require('fs');
const tls = require('tls');
const p = require('./protocol.js');

const o = p.options(process.argv.slice(2));
const ca = fs.readFileSync(o.ca);
const sessions = { last: undefined };

function agent(session) {
    const made = new https.Agent({ keepAlive: true, maxSockets: 1, ca, minVersion: o.tls, maxVersion: o.tls,
        ciphers: o.ciphers, maxCachedSessions: 0 });
    // What an agent does with a session differs between Node's versions.
    made.createConnection = (options) => tls.connect({ ...options, session });
    return made;
}

// headers: an object, or a function of the socket, called once its handshake is done.
function request(a, headers) {
    return new Promise((resolve, reject) => {
        const r = https.request(o.url, { agent: a, method: 'GET' });
        r.on('error', reject);
        r.on('socket', (socket) => {
            const send = () => {
                // With the ticket of an earlier answer; not every version of Node tells of it by an event.
                sessions.last = socket.getSession();
                const made = typeof headers === 'function' ? headers(socket) : headers;
                for (const [name, value] of Object.entries(made)) r.setHeader(name, value);
                r.end();
            };
            if (socket.secureConnecting) socket.once('secureConnect', send);
            else send();
        });
        r.on('response', (res) => {
            let body = '';
            res.on('data', (d) => { body += d; });
            res.on('end', () => resolve({ status: res.statusCode, body, info: res.headers['authentication-info'],
                challenge: res.headers['www-authenticate'] }));
        });
    });
}

const exporterOf = (socket) => socket.exportKeyingMaterial.bind(socket);
function fail(words) {
    console.error('client.js: ' + words);
    process.exit(1);
}

// The third character of the proof (or of the signature, or the tag) with another bit.
function flip(headers) {
    const change = (c) => (c === 'A' ? 'B' : 'A');
    const copy = { ...headers };
    if (copy.apikey) copy.apikey = copy.apikey.slice(0, 2) + change(copy.apikey[2]) + copy.apikey.slice(3);
    else if (copy.Authorization.startsWith('EKMOTP'))
        copy.Authorization = copy.Authorization.replace(/p=(..)(.)/, (_, a, c) => 'p=' + a + change(c));
    else copy.Authorization = copy.Authorization.replace(/(\...)(.)([^.]*)$/, (_, a, c, z) => a + change(c) + z);
    return copy;
}

async function accepted(a, n, what) {
    let made;
    let wanted;
    const r = await request(a, (socket) => {
        made = p.credentials(exporterOf(socket), o.client, n);
        if (o.profile.startsWith('v1'))
            wanted = p.v1(exporterOf(socket), o.client.key, o.client.id, o.hash).serverProof(n);
        what.reused = socket.isSessionReused();
        what.exported = socket.exportKeyingMaterial(32, 'EXPERIMENTAL-matrix', Buffer.from('matrix'));
        what.version = socket.getProtocol();
        return made;
    });
    if (r.status !== 200) fail(`request ${n}: status ${r.status}, not 200: ${r.body}`);
    if (wanted && !p.same(wanted, p.unB64url((r.info ?? 'p=').replace(/^p=/, ''))))
        fail(`request ${n}: the server's proof is missing or wrong: ${r.info}`);
    return made;
}

async function refused(a, headers, what) {
    const r = await request(a, headers);
    if (r.status !== 401 || !/^EKMOTP realm="/.test(r.challenge ?? '') || r.info)
        fail(`${what}: status ${r.status}, challenge ${r.challenge}, info ${r.info}; not a uniform 401`);
}

async function main() {
    const about = {};
    const one = agent();
    const first = await accepted(one, 1, about);
    await accepted(one, 2, about);
    await refused(one, (s) => flip(p.credentials(exporterOf(s), o.client, 3)), 'one bit changed');
    if (o.profile.startsWith('v1')) await refused(one, first, 'the same request again');
    await refused(one, {}, 'no credentials');
    const resume = o.event === 'resumed';
    const two = agent(resume ? sessions.last : undefined);
    const again = {};
    await refused(two, first, 'the same proof on a second connection');
    await accepted(two, 1, again);
    if (again.reused !== resume) fail('the second connection: resumed is ' + again.reused);
    if (p.same(again.exported, about.exported)) fail('both connections export the same');
    for (const a of [one, two]) a.destroy();
    console.log(`ok ${o.profile} ${o.hash} ${about.version}`);
}

main().catch((e) => fail(e.stack));
