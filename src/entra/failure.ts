/** Stable words for what went wrong; public API, never renamed. */
export type FailureCode =
  | 'ENTRA_LOGIN_UNREACHABLE'
  | 'ENTRA_GRAPH_UNREACHABLE'
  | 'ENTRA_BAD_ANSWER'
  | 'ENTRA_SECRET_WRONG'
  | 'ENTRA_SECRET_EXPIRED'
  | 'ENTRA_CLIENT_UNKNOWN'
  | 'ENTRA_CLIENT_DISABLED'
  | 'ENTRA_TENANT_UNKNOWN'
  | 'ENTRA_WRONG_CLOUD'
  | 'ENTRA_CONSENT_MISSING'
  | 'ENTRA_SERVICE_MISSING'
  | 'ENTRA_POLICY_BLOCKED'
  | 'ENTRA_TOKEN_REFUSED'
  | 'ENTRA_TOKEN_NOT_ACCEPTED'
  | 'ENTRA_ROLE_MISSING'
  | 'ENTRA_THROTTLED'
  | 'ENTRA_SERVER_ERROR'
  | 'ENTRA_REQUEST_REFUSED'
  | 'ENTRA_NOT_FOUND'
  | 'ENTRA_FOREIGN_NEXT_LINK'
  | 'ENTRA_NOT_ONBOARDED'
  | 'ENTRA_PROFILE_MISSING'
  | 'ENTRA_PROFILE_DISABLED'
  | 'ENTRA_PROFILE_NOT_ASSOCIATED'
  | 'ENTRA_NETWORK_MISSING'
  | 'ENTRA_NETWORK_AMBIGUOUS'
  | 'ENTRA_REGION_DIFFERS'
  | 'ENTRA_LINK_MISSING'
  | 'ENTRA_LINK_DIFFERS'
  | 'ENTRA_PSK_UNKNOWN'
  | 'ENTRA_NOT_VISIBLE'
  | 'ENTRA_NO_ENDPOINTS';

/**
 * Ends a registration run. Thrown inside procedures and caught in one place, `EntraRegistration`, which turns it
 * into the `failed` output; it never leaves this folder.
 */
export class EntraFailure extends Error {
  readonly code: FailureCode;
  /** False: it may pass by itself. True: an administrator must act. */
  readonly permanent: boolean;
  /** How long the server asked to be left alone. */
  readonly retryAfterMs: number | undefined;

  constructor(code: FailureCode, message: string, options: { permanent: boolean; retryAfterMs?: number | undefined }) {
    super(message);
    this.name = 'EntraFailure';
    this.code = code;
    this.permanent = options.permanent;
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** A failure that only an administrator can mend. */
export const permanent = (code: FailureCode, message: string): EntraFailure =>
  new EntraFailure(code, message, { permanent: true });

/** A failure that may pass by itself. */
export const transient = (code: FailureCode, message: string, retryAfterMs?: number): EntraFailure =>
  new EntraFailure(code, message, { permanent: false, retryAfterMs });
