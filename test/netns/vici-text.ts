/** What `swanctl --raw` prints: `name {…}` is a section, `key=value` a word, `key=[a b]` a list of words. */
export interface ViciSection {
  readonly [key: string]: string | readonly string[] | ViciSection;
}

/** Parses `{…}`. */
export function parseVici(source: string): ViciSection {
  const tokens = source.match(/[{}]|[^\s={}]+=\[[^\]]*\]|[^\s={}]+=[^\s{}]*|[^\s={}]+/g) ?? [];
  let next = 0;
  const section = (): ViciSection => {
    const entries: Record<string, string | readonly string[] | ViciSection> = {};
    for (next += 1; next < tokens.length; next += 1) {
      const token = tokens[next] ?? '';
      if (token === '}') break;
      if (tokens[next + 1] === '{') {
        next += 1;
        entries[token] = section();
      } else {
        const [, key = '', value = ''] = /^([^=]*)=?(.*)$/.exec(token) ?? [];
        entries[key] = value.startsWith('[') ? value.slice(1, -1).split(' ') : value;
      }
    }
    return entries;
  };
  return section();
}

/** The word under `key`; empty when there is none. */
export function text(section: ViciSection, key: string): string {
  const value = section[key];
  return typeof value === 'string' ? value : '';
}

/** The sections in a section. */
export function list(section: string | readonly string[] | ViciSection | undefined): ViciSection[] {
  return Object.values(section ?? {}).filter(
    (value): value is ViciSection => typeof value === 'object' && !Array.isArray(value),
  );
}
