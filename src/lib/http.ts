/** An HTTP exchange as a value: cores ask for it, the shell performs it. Header names are lower case. */
export interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE';
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
  /** Give up after this long, connection included. */
  readonly timeoutMs: number;
}

export type HttpResponse =
  | {
      readonly kind: 'response';
      readonly status: number;
      readonly headers: Readonly<Record<string, string>>;
      readonly body: string;
    }
  /** No answer: `code` is an errno-like word (`ECONNREFUSED`, `ENOTFOUND`, `timeout`, `tls`), `detail` a sentence. */
  | { readonly kind: 'unreachable'; readonly code: string; readonly detail: string };
