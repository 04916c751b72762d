/** `http-get.mjs URL OPTIONS`: one pinned GET; prints the HttpResponse as JSON. */
import { createHttp } from '../../../dist/io/http.js';
import { ip } from '../../../dist/lib/ip.js';

const [url = '', text = '{}'] = process.argv.slice(2);
const { localAddress, ...options } = JSON.parse(text);
const http = createHttp({ ...options, ...(localAddress && { localAddress: ip(localAddress) }) });
const response = await http({ method: 'GET', url, headers: {}, body: undefined, timeoutMs: 3000 });
await http.close();
process.stdout.write(JSON.stringify(response));
