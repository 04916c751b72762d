/** `http-echo.mjs KEY CERTIFICATE`: on port 80 and, with TLS, 443, answers every request with the client's address. */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';

const [key = '', cert = ''] = process.argv.slice(2);
const answer = (request, response) => response.end(request.socket.remoteAddress);
createServer(answer).listen(80, '0.0.0.0');
createTlsServer({ key: readFileSync(key), cert: readFileSync(cert) }, answer).listen(443, '0.0.0.0', () => {
  process.stdout.write('listening\n');
});
