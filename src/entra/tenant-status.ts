import { permanent, transient } from './failure.ts';
import { networkAccessUrl, readJson } from './graph-call.ts';
import { textAt } from './json.ts';
import type { Procedure } from './procedure.ts';
import type { GraphSession } from './session.ts';

/** Global Secure Access must be on in the tenant; switching it on is an administrator's act, never ours. */
export function* requireOnboarded(session: GraphSession): Procedure<void> {
  const status = yield* readJson(session, {
    url: networkAccessUrl(session, 'tenantStatus'),
    what: 'reading the onboarding status of the tenant',
  });
  const onboarding = textAt(status, 'onboardingStatus') ?? 'nothing';
  if (onboarding.toLowerCase() === 'onboarded') return;
  const reason = textAt(status, 'onboardingErrorMessage');
  const sentence = `expected Global Secure Access to be onboarded in tenant ${session.connector.tenantId}, got ${session.scrubber.quote(onboarding)}${reason === undefined ? '' : ` (${session.scrubber.quote(reason)})`}`;
  if (onboarding.toLowerCase() === 'onboardinginprogress') {
    throw transient('ENTRA_NOT_ONBOARDED', `${sentence}; nothing to do, it is looked at again`);
  }
  throw permanent(
    'ENTRA_NOT_ONBOARDED',
    `${sentence}; activate it in the Entra admin center under Global Secure Access > Get started`,
  );
}
