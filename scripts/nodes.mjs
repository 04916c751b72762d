/** The other Nodes that one build of the addon must serve, as npm packages of their own. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, run, StepError } from './steps.mjs';

export const OTHER_NODES = ['22.23.3', '24.21.0'];

/**
 * Installs a Node below `.setup`, unless it is there.
 * @param {string} version
 * @returns {Promise<string>} its executable
 */
export async function installNode(version) {
  const folder = join(ROOT, '.setup', 'nodes', version);
  const name = `node-${process.platform}-${process.arch}`;
  const executable = join(folder, 'node_modules', name, 'bin', 'node');
  if (existsSync(executable)) return executable;
  const { code, output } = await run('npm', ['install', '--no-save', '--prefix', folder, `${name}@${version}`]);
  if (code !== 0) throw new StepError(`npm could not install Node ${version}`, output);
  return executable;
}
