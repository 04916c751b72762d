import { isAlias, isMap, isScalar, isSeq, Lexer, type Node, parseAllDocuments, type YAMLError } from 'yaml';
import { err, ok, type Result } from '../lib/result.ts';
import { formatPath, type Path } from './issue.ts';

export interface Place {
  readonly line: number;
  readonly column: number;
}
export interface PlacedMessage extends Place {
  readonly path: string;
  readonly message: string;
}

/** One YAML document as plain values, with the place of every key and value. */
export interface YamlTree {
  readonly value: unknown;
  /** Of the value at `path`; for a value that is not there, of the key of its nearest ancestor. */
  place(path: Path): Place;
  keyPlace(path: Path): Place;
}

const MAX_BYTES = 1 << 20;
/** A real file has some hundreds; the composer's time grows with them. */
const MAX_TOKENS = 65_536;
const MAX_FLOW_DEPTH = 32;
/** Block nesting costs at least one column per level, so this bounds its depth. */
const MAX_BLOCK_COLUMN = 200;

/** Reads one document. Anchors, aliases and unknown tags are refused: every value stands once, where it is used. */
export function readYaml(text: string): Result<YamlTree, readonly PlacedMessage[]> {
  const refused = tooLarge(text) ?? tooComplex(text);
  if (refused !== undefined) return err([refused]);
  const lines = new LineIndex(text);
  const documents = parseAllDocuments(hideVariables(text), {
    prettyErrors: false,
    uniqueKeys: false,
  });
  const [document, second] = documents;
  if (document === undefined)
    return err([{ ...START, path: '', message: 'expected a configuration, got an empty file' }]);
  // Only the first: the rest mostly follows from it.
  const [first] = documents.flatMap((each) => [...each.errors, ...each.warnings]);
  if (first !== undefined) return err([syntaxError(first, lines)]);
  if (second !== undefined) {
    const message = 'expected one YAML document, got a second one after "---": keep everything in one';
    return err([{ ...lines.place(second.contents?.range?.[0] ?? second.range[0]), path: '', message }]);
  }
  const reader = new TreeReader(lines);
  const value = reader.read(document.contents, []);
  return reader.refusals.length > 0 ? err(reader.refusals) : ok(reader.tree(value));
}

const START: Place = { line: 1, column: 1 };

function tooLarge(text: string): PlacedMessage | undefined {
  const bytes = text.length > MAX_BYTES ? text.length : new TextEncoder().encode(text).length;
  if (bytes <= MAX_BYTES) return undefined;
  return { ...START, path: '', message: `expected a file of at most ${MAX_BYTES} octets, got ${bytes} or more` };
}

/** Counts tokens and nesting without recursion: the composer behind it would exhaust the stack on hostile input. */
function tooComplex(text: string): PlacedMessage | undefined {
  let tokens = 0;
  let depth = 0;
  let line = 1;
  let column = 1;
  const refuse = (message: string): PlacedMessage => ({ line, column, path: '', message });
  for (const token of new Lexer().lex(hideVariables(text))) {
    if (++tokens > MAX_TOKENS) return refuse(`expected at most ${MAX_TOKENS} YAML tokens, some 10,000 lines, got more`);
    if (token === '[' || token === '{') depth++;
    else if (token === ']' || token === '}') depth--;
    const indicator = token === '-' || token === '?' || token === ':';
    if (depth > MAX_FLOW_DEPTH || (depth <= 0 && indicator && column > MAX_BLOCK_COLUMN))
      return refuse('nested too deeply: no part of the configuration needs more than 6 levels');
    if (isMarker(token)) continue;
    const lastBreak = token.lastIndexOf('\n');
    column = lastBreak < 0 ? column + token.length : token.length - lastBreak;
    if (lastBreak >= 0) line += token.split('\n').length - 1;
  }
  return undefined;
}

/** The lexer's zero-width marks: byte order mark, start of document, end of flow, start of a scalar. */
const isMarker = (token: string): boolean => token.length === 1 && '\uFEFF\u0002\u0018\u001f'.includes(token);

/**
 * `${` and `}` would open and close a mapping inside `{ … }`. Stand-ins of the same length let operators write
 * `{ secret_file: ${DIR}/entra }` and keep every position; `showVariables` brings the text back.
 */
const hideVariables = (text: string): string =>
  text.replace(/\$\{([A-Za-z_][A-Za-z0-9_]{0,127})\}/g, '\uE000\uE001$1\uE002');
const showVariables = (text: string): string => text.replaceAll('\uE000\uE001', '${').replaceAll('\uE002', '}');

const SYNTAX: Readonly<Partial<Record<YAMLError['code'], string>>> = {
  TAB_AS_INDENT: 'expected spaces for indentation, got a tab: replace it by two spaces',
  BLOCK_AS_IMPLICIT_KEY:
    'expected one "key: value" on this line, got a second ": ": quote the value or start a new line',
  MISSING_CHAR: 'expected a closing quote or bracket or a separator here',
  BAD_SCALAR_START: 'a plain value cannot begin with this character: put the value in quotes',
  TAG_RESOLVE_FAILED: 'YAML tags ("!…") are not accepted: write the plain value',
};

function syntaxError(error: YAMLError, lines: LineIndex): PlacedMessage {
  const message = SYNTAX[error.code] ?? `not valid YAML: ${showVariables(error.message)}`;
  return { ...lines.place(error.pos[0]), path: '', message };
}

/** Lines as an editor counts them. The parser's own counter loses some behind a syntax error. */
class LineIndex {
  readonly #starts: readonly number[];

  constructor(text: string) {
    this.#starts = [0, ...Array.from(text.matchAll(/\n/g), (match) => match.index + 1)];
  }

  place(offset: number): Place {
    let [line, beyond] = [0, this.#starts.length];
    while (beyond - line > 1) {
      const middle = (line + beyond) >> 1;
      if ((this.#starts[middle] ?? 0) <= offset) line = middle;
      else beyond = middle;
    }
    return { line: line + 1, column: offset - (this.#starts[line] ?? 0) + 1 };
  }
}

class TreeReader {
  readonly refusals: PlacedMessage[] = [];
  readonly #lines: LineIndex;
  readonly #values = new Map<string, Place>();
  readonly #keys = new Map<string, Place>();

  constructor(lines: LineIndex) {
    this.#lines = lines;
  }

  read(node: Node | null | undefined, path: Path): unknown {
    if (node === null || node === undefined) return null;
    const place = this.#lines.place(node.range?.[0] ?? 0);
    this.#values.set(formatPath(path), place);
    if (isAlias(node)) this.#refuse(place, path, 'aliases ("*name") are not accepted: write the value out');
    else if (node.anchor !== undefined)
      this.#refuse(place, path, 'anchors ("&name") are not accepted: write the value out');
    if (isScalar(node)) return typeof node.value === 'string' ? showVariables(node.value) : node.value;
    if (isSeq<Node>(node)) return node.items.map((item, i) => this.read(item, [...path, i]));
    if (!isMap<Node, Node>(node)) return null;
    const entries = new Map<string, unknown>();
    for (const { key, value } of node.items) {
      const name = this.#key(key, path);
      if (name === undefined) continue;
      const here = [...path, name];
      const keyPlace = this.#lines.place(key.range?.[0] ?? 0);
      const first = this.#keys.get(formatPath(here));
      if (first !== undefined)
        this.#refuse(keyPlace, here, `"${name}" is set twice, first on line ${first.line}: keep one`);
      else this.#keys.set(formatPath(here), keyPlace);
      entries.set(name, this.read(value, here));
    }
    // fromEntries defines own properties, so that a key "__proto__" is only an unknown key.
    return Object.fromEntries(entries);
  }

  tree(value: unknown): YamlTree {
    const keyPlace = (path: Path): Place => this.#keys.get(formatPath(path)) ?? this.#nearest(path);
    return { value, keyPlace, place: (path) => this.#values.get(formatPath(path)) ?? keyPlace(path) };
  }

  #nearest(path: Path): Place {
    for (let length = path.length - 1; length > 0; length--) {
      const ancestor = formatPath(path.slice(0, length));
      const place = this.#keys.get(ancestor) ?? this.#values.get(ancestor);
      if (place !== undefined) return place;
    }
    return START;
  }

  #key(key: Node, path: Path): string | undefined {
    if (isScalar(key) && key.anchor === undefined) return showVariables(key.source ?? String(key.value));
    this.#refuse(
      this.#lines.place(key.range?.[0] ?? 0),
      path,
      'expected a plain word as key, got a list, mapping or alias',
    );
    return undefined;
  }

  #refuse(place: Place, path: Path, message: string): void {
    this.refusals.push({ ...place, path: formatPath(path), message });
  }
}
