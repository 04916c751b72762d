import type { IkeHistoryEvent } from '../ike/types.ts';
import type { JournalRecord } from '../io/journal.ts';

/** One exchange of one tunnel, as it is shown and stored. */
export interface IkeHistoryRow extends IkeHistoryEvent {
  readonly time: Date;
  readonly tunnel: string;
}

/** A row as a line of the journal. Field by field: one that is added to the row is a decision here, not an accident. */
export function encodeHistoryRow(row: IkeHistoryRow): JournalRecord {
  return {
    time: row.time.toISOString(),
    tunnel: row.tunnel,
    exchange: row.exchange,
    direction: row.direction,
    messageId: row.messageId,
    result: row.result,
    reason: row.reason,
    spiI: row.spiI,
    spiR: row.spiR,
    proposal: row.proposal,
    peer: row.peer,
    durationMs: row.durationMs,
    proposalLocal: row.proposalLocal,
    proposalPeer: row.proposalPeer,
    notifySent: row.notifySent,
    notifyReceived: row.notifyReceived,
    nat: row.nat,
  } satisfies Record<keyof IkeHistoryRow, string | number>;
}

/** Undefined for anything but a row, such as what another version wrote in words that this one does not know. */
export function decodeHistoryRow(record: unknown): IkeHistoryRow | undefined {
  if (typeof record !== 'object' || record === null) return undefined;
  const fields: Readonly<Record<string, unknown>> = { ...record };
  const row: Found = {
    time: date(fields['time']),
    tunnel: text(fields['tunnel']),
    exchange: keyOf(EXCHANGES, fields['exchange']),
    direction: keyOf(DIRECTIONS, fields['direction']),
    messageId: number(fields['messageId']),
    result: keyOf(RESULTS, fields['result']),
    reason: text(fields['reason']),
    spiI: text(fields['spiI']),
    spiR: text(fields['spiR']),
    proposal: text(fields['proposal']),
    peer: text(fields['peer']),
    durationMs: number(fields['durationMs']),
    // The first version did not write these.
    proposalLocal: text(fields['proposalLocal'] ?? ''),
    proposalPeer: text(fields['proposalPeer'] ?? ''),
    notifySent: text(fields['notifySent'] ?? ''),
    notifyReceived: text(fields['notifyReceived'] ?? ''),
    nat: keyOf(NAT, fields['nat'] ?? ''),
  };
  return isComplete(row) ? row : undefined;
}

/** What a line holds of a row. */
type Found = { readonly [Field in keyof IkeHistoryRow]: IkeHistoryRow[Field] | undefined };

/** As keys, so that the compiler misses a value that the type has and the table does not. */
const EXCHANGES: Readonly<Record<IkeHistoryRow['exchange'], true>> = {
  IKE_SA_INIT: true,
  IKE_INTERMEDIATE: true,
  IKE_AUTH: true,
  CREATE_CHILD_SA: true,
  IKE_FOLLOWUP_KE: true,
  INFORMATIONAL: true,
};
const DIRECTIONS: Readonly<Record<IkeHistoryRow['direction'], true>> = { out: true, in: true };
const RESULTS: Readonly<Record<IkeHistoryRow['result'], true>> = { ok: true, failed: true, timeout: true, retry: true };

const NAT: Readonly<Record<IkeHistoryRow['nat'], true>> = {
  '': true,
  none: true,
  local: true,
  remote: true,
  both: true,
};

const isComplete = (row: Found): row is IkeHistoryRow => Object.values(row).every((value) => value !== undefined);

const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);
const number = (value: unknown): number | undefined => (typeof value === 'number' ? value : undefined);

function date(value: unknown): Date | undefined {
  const time = typeof value === 'string' ? new Date(value) : undefined;
  return time === undefined || Number.isNaN(time.getTime()) ? undefined : time;
}

function keyOf<Key extends string>(table: Readonly<Record<Key, true>>, value: unknown): Key | undefined {
  const isKey = (candidate: unknown): candidate is Key =>
    typeof candidate === 'string' && Object.hasOwn(table, candidate);
  return isKey(value) ? value : undefined;
}
