import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type { Path } from '../../../src/config/issue.ts';
import { configJsonSchema, exampleLine, type JsonSchema, knownKeys } from '../../../src/config/json-schema.ts';
import { configSchema } from '../../../src/config/schema.ts';

describe('the JSON Schema', () => {
  it('refuses unknown keys at every level', () => {
    const open = mappings(configJsonSchema()).filter((node) => !('additionalProperties' in node));
    expect(open).toEqual([]);
  });

  it('shows defaults as an operator writes them', () => {
    const link = configJsonSchema().properties?.['links']?.items?.properties;
    expect(link?.['ike']?.properties?.['lifetime']?.default).toBe('8h');
    expect(link?.['ipsec']?.properties?.['replay_window']?.default).toBe(4096);
    expect(link?.['mtu']?.default).toBe(1380);
  });

  it('requires what has no default', () => {
    expect(configJsonSchema().required).toEqual(['version', 'site', 'wans', 'remote_network', 'links']);
  });
});

describe('examples', () => {
  const paths = leafPaths(configJsonSchema(), []);

  it('exist for every key', () => {
    expect(paths.length).toBeGreaterThan(60);
    expect(paths.filter((path) => exampleLine(path) === undefined)).toEqual([]);
  });

  it.each(paths.map((path) => [path.join('.'), path] as const))('%s has one that the schema takes', (_, path) => {
    const value: unknown = Object.values(parse(exampleLine(path) ?? '') as object)[0];
    const result = configSchema.safeParse(nested(path, value));
    const complaints = result.error?.issues.map((issue) => issue.path.join('.')) ?? [];
    const own = path.join('.');
    expect(complaints.filter((complaint) => complaint === own || complaint.startsWith(`${own}.`))).toEqual([]);
  });
});

describe('knownKeys', () => {
  it('lists the mapping form of a union', () => {
    expect(knownKeys(['links', 0, 'ike', 'suite'])).toEqual(['encryption', 'integrity', 'dh']);
    expect(knownKeys(['policies', 3, 'to'])).toEqual(['prefixes']);
  });
  it('is empty where nothing may stand', () => {
    expect(knownKeys(['links', 0, 'nothing'])).toEqual([]);
  });
});

function mappings(node: JsonSchema): JsonSchema[] {
  const children = [
    ...Object.values(node.properties ?? {}),
    ...(node.items ? [node.items] : []),
    ...(node.anyOf ?? []),
  ];
  return [...(node.properties === undefined ? [] : [node]), ...children.flatMap(mappings)];
}

function leafPaths(node: JsonSchema, path: Path): Path[] {
  const inner = [node, ...(node.anyOf ?? [])].flatMap((form) => Object.entries(form.properties ?? {}));
  const below = inner.flatMap(([key, child]) => leafPaths(child, [...path, key]));
  const items = node.items?.properties === undefined ? [] : leafPaths(node.items, [...path, 0]);
  return [...(path.length > 0 && typeof path.at(-1) === 'string' ? [path] : []), ...below, ...items];
}

/** `value` at `path`, with nothing else around it. */
function nested(path: Path, value: unknown): unknown {
  const [step, ...rest] = path;
  if (step === undefined) return value;
  return typeof step === 'number' ? [nested(rest, value)] : { [step]: nested(rest, value) };
}
