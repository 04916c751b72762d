import { describe, expect, it } from 'vitest';
import { printableConfig } from '../../../src/config/redact.ts';
import { MANUAL, parsed } from './branch.ts';

describe('printableConfig', () => {
  it('writes addresses as text and survives JSON', () => {
    const printed = JSON.parse(JSON.stringify(printableConfig(parsed(MANUAL))));
    expect(printed.links[0].bgp).toMatchObject({
      localIp: '169.254.21.1',
      zonePeerIp: '169.254.22.2',
      holdMs: 180_000,
    });
    expect(printed.networks[0].prefixes).toEqual(['10.1.20.0/24']);
    expect(printed.telemetry).toEqual({ prometheus: { address: '127.0.0.1', port: 9742 } });
    expect(printed.debug).toEqual({ exportKeysDir: null });
  });

  it('masks the query of a probe', () => {
    const text = JSON.stringify(printableConfig(parsed(MANUAL.replace('6544/ping', '6544/ping?token=hunter2'))));
    expect(text).toContain('http://198.18.1.101:6544/ping?…');
    expect(text).not.toContain('hunter2');
  });
});
