import type { HttpResponse } from '../lib/http.ts';

const LONGEST_QUOTE = 200;

/** What the far end said, fit for one line of a terminal: no control characters, bounded. */
export function quote(text: string): string {
  const line = text.replace(/[\p{Cc}\p{Zl}\p{Zp}\s]+/gu, ' ').trim();
  if (line === '') return 'empty answer';
  return line.length > LONGEST_QUOTE ? `${line.slice(0, LONGEST_QUOTE)}…` : line;
}

/** Expected, came, to do, for an exchange without an answer. */
export function unreachableSentence(
  what: string,
  origin: string,
  response: Extract<HttpResponse, { kind: 'unreachable' }>,
): string {
  const remedy = UNREACHABLE_REMEDIES[response.code] ?? 'check the route, the firewall and the proxy of the WAN';
  return `${what} ${origin} cannot be reached (${response.code}: ${quote(response.detail)}); ${remedy}`;
}

const UNREACHABLE_REMEDIES: Readonly<Record<string, string>> = {
  ENOTFOUND: 'check the name servers of this box and the spelling of the endpoint',
  EAI_AGAIN: 'check the name servers of this box',
  ECONNREFUSED: 'check the address and the port of the endpoint',
  tls: 'check the clock of this box and whether something on the path intercepts TLS',
  timeout: 'check the route and the firewall of the WAN for outgoing TCP 443',
};
