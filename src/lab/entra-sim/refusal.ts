/** An answer of Graph other than success, thrown by rules and handlers and written by the server. */
export class GraphRefusal extends Error {
  readonly status: number;
  readonly code: string;
  readonly target: string | undefined;

  constructor(status: number, code: string, message: string, target?: string) {
    super(message);
    this.name = 'GraphRefusal';
    this.status = status;
    this.code = code;
    this.target = target;
  }
}

export const badRequest = (message: string, target?: string): GraphRefusal =>
  new GraphRefusal(400, 'BadRequest', message, target);

export const notFound = (what: string): GraphRefusal =>
  new GraphRefusal(404, 'ResourceNotFound', `Resource not found: ${what}`);
