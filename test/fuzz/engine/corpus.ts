import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { AnyTarget } from './target.ts';

/** The inputs of one target as lines of text; lines that begin with # say what the next one is about. */
export class CorpusFile {
  readonly #path: string;

  /** `path` need not exist. */
  constructor(path: string) {
    this.#path = path;
  }

  /** In the order of the file; none without a file. */
  read(): string[] {
    if (!existsSync(this.#path)) return [];
    return readFileSync(this.#path, 'utf8')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'));
  }

  write(lines: readonly string[]): void {
    mkdirSync(dirname(this.#path), { recursive: true });
    writeFileSync(this.#path, lines.map((line) => `${line}\n`).join(''));
  }

  /** Puts an input in front, so that it is the first to be tried. */
  prepend(line: string, remark: string): void {
    const old = existsSync(this.#path) ? readFileSync(this.#path, 'utf8') : '';
    mkdirSync(dirname(this.#path), { recursive: true });
    writeFileSync(this.#path, `# ${remark.replaceAll('\n', ' ')}\n${line}\n${old}`);
  }
}

/** The committed corpus, which `npm test` replays. The area is what a target's name begins with. */
export function committedCorpus({ name }: Pick<AnyTarget, 'name'>): CorpusFile {
  return new CorpusFile(`test/corpus/${name.split('-')[0]}/${name}.txt`);
}

/** What earlier runs on this machine learned. */
export function localCorpus({ name }: Pick<AnyTarget, 'name'>): CorpusFile {
  return new CorpusFile(`.setup/corpus/${name}.txt`);
}
