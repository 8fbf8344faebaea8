// SPDX-License-Identifier: Apache-2.0
// server.js --cert FILE --cert-key FILE --client-key FILE [--id ID] [--hash H] [--profile P] [--tls 1.2|1.3]
//           [--cipher aes128|aes256|chacha20] [--groups LIST] [--ems no] [--http2 yes] [--close yes]
//           [--lie yes]
// Prints "listening PORT", then a line per request. --ems no: TLS 1.2 without extended master secret. --close:
// a connection for each request. --lie changes one bit of each server proof.
'use strict';
const http2 = require('http2');
const https = require('https');
const fs = require('fs');
const p = require('./protocol.js');

const o = p.options(process.argv.slice(2));
const states = new WeakMap();

const settings = {
    cert: fs.readFileSync(o.cert), key: fs.readFileSync(o['cert-key']), minVersion: o.tls ?? 'TLSv1.2', maxVersion: o.tls,
    ciphers: o.ciphers, ecdhCurve: o.groups ?? 'auto', secureOptions: o.ems === 'no' ? 1 : 0, allowHTTP1: true,
};
const create = o.http2 ? http2.createSecureServer : https.createServer;
const server = create(settings, (req, res) => {
    const connection = req.stream?.session ?? req.socket;
    const socket = req.stream?.session.socket ?? req.socket;
    if (!states.has(connection)) states.set(connection, {});
    if (o.close && req.stream) connection.close();
    else if (o.close) res.setHeader('Connection', 'close');
    try {
        let info = p.verify(socket.exportKeyingMaterial.bind(socket), o.client, req.headers, states.get(connection));
        if (o.lie) info = info.slice(0, 2) + (info[2] === 'A' ? 'B' : 'A') + info.slice(3);
        if (info) res.setHeader('Authentication-Info', info);
        res.setHeader('Content-Type', 'text/plain');
        res.end('ok');
        console.log(`accepted ${socket.getProtocol()} ${req.headers.authorization ?? req.headers.apikey}`);
    } catch (e) {
        res.statusCode = 401;
        res.setHeader('WWW-Authenticate', 'EKMOTP realm="node"');
        res.end('refused');
        console.log('refused ' + e.message);
    }
});
server.listen(Number(o.port ?? 0), '127.0.0.1', () => console.log('listening ' + server.address().port));
process.on('SIGTERM', () => process.exit(0));
