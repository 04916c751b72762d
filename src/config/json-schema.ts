import { stringify } from 'yaml';
import { z } from 'zod';
import type { Path } from './issue.ts';
import { configSchema } from './schema.ts';

/** The part of JSON Schema 2020-12 that this schema comes out as. */
export interface JsonSchema {
  readonly title?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  readonly description?: string;
  readonly examples?: readonly unknown[];
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
}

/** The configuration as JSON Schema, for editors (`# yaml-language-server: $schema=…`) and other tools. */
export function configJsonSchema(): JsonSchema {
  const schema = z.toJSONSchema(configSchema, {
    io: 'input',
    reused: 'inline',
    // zod drops the examples of mappings whose values it converts; ours are written as operators write them.
    override: ({ zodSchema, jsonSchema }) => {
      const examples = z.globalRegistry.get(zodSchema)?.['examples'];
      if (Array.isArray(examples)) jsonSchema.examples = examples;
    },
  });
  return { title: 'tunwright configuration', ...(schema as JsonSchema) };
}

const SCHEMA = configJsonSchema();

/** What may stand at `path`; for a union, the mapping among its forms. */
function schemaAt(path: Path): JsonSchema | undefined {
  let node: JsonSchema | undefined = SCHEMA;
  for (const step of path) {
    const mapping: JsonSchema | undefined = node.anyOf?.find((form) => form.properties !== undefined) ?? node;
    node = typeof step === 'number' ? mapping.items : mapping.properties?.[step];
    if (node === undefined) return undefined;
  }
  return node;
}

/** The keys of the mapping at `path`. */
export function knownKeys(path: Path): readonly string[] {
  const node = schemaAt(path);
  const mapping = node?.anyOf?.find((form) => form.properties !== undefined) ?? node;
  return Object.keys(mapping?.properties ?? {});
}

/** A correct line for the value at `path`, in flow style: `bgp: { local_ip: 169.254.21.1, … }`. */
export function exampleLine(path: Path): string | undefined {
  const key = path.findLast((step) => typeof step === 'string');
  const node = schemaAt(path);
  if (key === undefined || node === undefined) return undefined;
  const value = exampleOf(node);
  const shown = typeof path.at(-1) === 'number' ? [value] : value;
  return stringify({ [key]: shown }, { collectionStyle: 'flow', lineWidth: 0 })
    .trim()
    .slice(2, -2);
}

function exampleOf(node: JsonSchema): unknown {
  if (node.examples !== undefined) return node.examples[0];
  if (node.default !== undefined && node.properties === undefined && node.items === undefined) return node.default;
  if (node.anyOf?.[0] !== undefined) return exampleOf(node.anyOf[0]);
  if (node.items !== undefined) return [exampleOf(node.items)];
  if (node.properties === undefined) return node.const ?? node.enum?.[0];
  const keys = node.required ?? Object.keys(node.properties);
  return Object.fromEntries(keys.map((key) => [key, exampleOf(node.properties?.[key] ?? {})]));
}
