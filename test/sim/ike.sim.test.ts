import { describe, expect, test } from 'vitest';
import { IkePair } from './pair.ts';

describe('two cores', () => {
  test('establish', () => {
    const pair = new IkePair().start().establish();
    const a = pair.initiator.last('child-up')?.child;
    const b = pair.responder.last('child-up')?.child;
    expect(pair.responder.view.nat).toEqual({ local: false, remote: false });
    expect(a?.inbound.spi).toBe(b?.outbound.spi);
    expect(a?.outbound.key.reveal()).toEqual(b?.inbound.key.reveal());
  });
});
