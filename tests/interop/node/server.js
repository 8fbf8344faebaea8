// SPDX-License-Identifier: Apache-2.0
// server.js --cert FILE --cert-key FILE --client-key FILE [--id ID] [--hash H] [--profile P] [--tls 1.2|1.3]
//           [--lie yes]
// Prints "listening PORT", then a line per request. --lie changes one bit of each server proof.
'use strict';
const https = require('https');
const fs = require('fs');
const p = require('./protocol.js');

const o = p.options(process.argv.slice(2));
const states = new WeakMap();

const server = https.createServer({
    cert: fs.readFileSync(o.cert), key: fs.readFileSync(o['cert-key']), minVersion: o.tls ?? 'TLSv1.2', maxVersion: o.tls,
}, (req, res) => {
    const socket = req.socket;
    if (!states.has(socket)) states.set(socket, {});
    try {
        if (socket.isSessionReused()) console.log('resumed');
        let info = p.verify(socket.exportKeyingMaterial.bind(socket), o.client, req.headers, states.get(socket));
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
