/** Writes a counter into every branch of compiled modules, for test/fuzz/engine/coverage.ts. */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { parseSync } from 'oxc-parser';

/**
 * Changes every .js file below `folder` in place; names are relative to `root`.
 * @param {string} root
 * @param {string} folder
 */
export async function instrumentFolder(root, folder) {
  const files = (await readdir(folder, { recursive: true })).filter((file) => file.endsWith('.js'));
  for (const file of files) {
    const path = join(folder, file);
    const code = await readFile(path, 'utf8');
    await writeFile(path, instrument(code, relative(root, path)));
  }
  return files.length;
}

/**
 * @param {string} code of an ES module
 * @param {string} name
 */
function instrument(code, name) {
  const { program, errors } = parseSync(name, code);
  if (errors.length > 0) throw new Error(`${name}: ${errors[0]?.message}`);
  /** @type {{ at: number, text: string }[]} */
  const insertions = [];
  let count = 0;
  const hit = () => `$hit[${count++}]++`;

  /** @param {any} node a statement that runs or does not */
  const statement = (node) => {
    if (!node) return;
    if (node.type === 'BlockStatement') insertions.push({ at: node.start + 1, text: `${hit()};` });
    else insertions.push({ at: node.start, text: `{${hit()};` }, { at: node.end, text: '}' });
  };
  /** @param {any} node a value that is wanted or not */
  const expression = (node) => {
    insertions.push({ at: node.start, text: `(${hit()},` }, { at: node.end, text: ')' });
  };
  /** @param {any} node */
  const visit = (node) => {
    switch (node.type) {
      case 'FunctionDeclaration':
      case 'FunctionExpression':
        statement(node.body);
        break;
      case 'ArrowFunctionExpression':
        if (node.body.type === 'BlockStatement') statement(node.body);
        else expression(node.body);
        break;
      case 'IfStatement':
        statement(node.consequent);
        statement(node.alternate);
        break;
      case 'ConditionalExpression':
        expression(node.consequent);
        expression(node.alternate);
        break;
      case 'LogicalExpression':
        expression(node.right);
        break;
      case 'ForStatement':
      case 'ForOfStatement':
      case 'ForInStatement':
      case 'WhileStatement':
      case 'DoWhileStatement':
        statement(node.body);
        break;
      case 'CatchClause':
        statement(node.body);
        break;
      case 'SwitchCase':
        if (node.consequent.length > 0) insertions.push({ at: node.consequent[0].start, text: `${hit()};` });
        break;
    }
  };
  walk(program, visit);

  // Where several meet, whatever ends comes before whatever begins, and the outer begins before the inner.
  insertions.sort((a, b) => a.at - b.at || Number(isEnd(b.text)) - Number(isEnd(a.text)));
  let out = `const $hit = globalThis.fuzzCounters(${JSON.stringify(name)}, ${count});`;
  let from = 0;
  for (const { at, text } of insertions) {
    out += code.slice(from, at) + text;
    from = at;
  }
  return out + code.slice(from);
}

/** @param {string} text */
const isEnd = (text) => text === ')' || text === '}';

/**
 * Outer nodes first.
 * @param {any} node
 * @param {(node: any) => void} visit
 */
function walk(node, visit) {
  if (typeof node.type === 'string') visit(node);
  for (const value of Object.values(node)) {
    if (Array.isArray(value)) for (const item of value) item && typeof item === 'object' && walk(item, visit);
    else if (value && typeof value === 'object') walk(value, visit);
  }
}
