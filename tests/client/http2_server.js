// SPDX-License-Identifier: Apache-2.0
// http2_server.js --cert FILE --cert-key FILE --client-key FILE [--tls 1.2|1.3]
// An HTTP/2 server on Node's own stack. Prints "listening PORT", then a line of JSON per request. /goodbye
// answers and ends the session, /lie has a wrong server proof, /none has none, /reset resets the stream,
// /late is answered a little later.
'use strict';
const http2 = require('http2');
const fs = require('fs');
const p = require('../interop/node/protocol.js');

const o = p.options(process.argv.slice(2));
let count = 0;

const server = http2.createSecureServer({
    cert: fs.readFileSync(o.cert), key: fs.readFileSync(o['cert-key']), minVersion: o.tls ?? 'TLSv1.2', maxVersion: o.tls,
});
server.on('session', (session) => { session.ekmotp = { number: ++count, state: {} }; });
server.on('stream', (stream, headers) => {
    const { number, state } = stream.session.ekmotp;
    const socket = stream.session.socket;
    const path = headers[':path'];
    const answer = { ':status': 200 };
    let accepted = true, why = '';
    try {
        let info = p.verify(socket.exportKeyingMaterial.bind(socket), o.client, headers, state);
        if (path === '/lie') info = info.slice(0, 2) + (info[2] === 'A' ? 'B' : 'A') + info.slice(3);
        if (path !== '/none') answer['authentication-info'] = info;
    } catch (e) {
        accepted = false;
        why = e.message;
        answer[':status'] = 401;
        answer['www-authenticate'] = 'EKMOTP realm="node"';
    }
    console.log(JSON.stringify({ connection: number, method: headers[':method'], path, accepted, why,
        credentials: headers.authorization ?? null, tls: socket.getProtocol(), resumed: socket.isSessionReused() }));
    stream.on('error', () => {});
    if (path === '/reset') {
        stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR);
        return;
    }
    const finish = () => {
        if (stream.destroyed) return;
        stream.respond(answer);
        stream.end(accepted ? 'ok' : 'refused');
    };
    // Not before the whole request is there: HTTP/2 would reset the stream.
    stream.resume();
    stream.on('end', () => setTimeout(finish, path === '/late' ? 5 + 10 * Math.random() : 0));
    if (path === '/goodbye') stream.session.close();
});
server.listen(0, '127.0.0.1', () => console.log('listening ' + server.address().port));
process.on('SIGTERM', () => process.exit(0));
