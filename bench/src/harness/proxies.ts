// nginx and Varnish in front of servers: installs them if that needs no interaction, starts them on a free port, and stops them.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { findFreePort, isListening } from 'dspinlock-local-redis'

export interface Front {
  readonly port: number
  stop(): Promise<void>
}

/** A cache that lets one of many equal requests through to the servers behind it. */
export interface Proxy {
  readonly name: string
  readonly binary: string
  readonly debianPackage: string
  /** Arguments with which it prints its version, on either stream. */
  readonly versionArguments: readonly string[]
  /** Its command line, for a folder of its own. */
  prepare(folder: string, port: number, backends: readonly number[]): readonly string[]
}

export const nginx: Proxy = {
  name: 'nginx, proxy_cache_lock',
  binary: 'nginx',
  debianPackage: 'nginx-light',
  versionArguments: ['-v'],
  prepare(folder, port, backends) {
    const config = `daemon off;
worker_processes auto;
${process.getuid?.() === 0 ? 'user root;' : ''}
pid ${folder}/pid;
error_log ${folder}/error.log;
events { worker_connections 2048; }
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  proxy_cache_path ${folder}/cache keys_zone=reports:8m;
  upstream apps { ${backends.map(backend => `server 127.0.0.1:${backend};`).join(' ')} keepalive 64; }
  server {
    listen 127.0.0.1:${port} backlog=1024;
    location / {
      proxy_pass http://apps;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_cache reports;
      proxy_cache_key $host$request_uri$http_authorization;
      proxy_cache_valid 200 60s;
      proxy_cache_lock on;
    }
  }
}
`
    writeFileSync(join(folder, 'nginx.conf'), config)
    return ['-p', folder, '-c', join(folder, 'nginx.conf')]
  },
}

export const varnish: Proxy = {
  name: 'Varnish',
  binary: 'varnishd',
  debianPackage: 'varnish',
  versionArguments: ['-V'],
  prepare(folder, port, backends) {
    const vcl = `vcl 4.1;
import directors;
${backends.map((backend, at) => `backend app${at} { .host = "127.0.0.1"; .port = "${backend}"; }`).join('\n')}
sub vcl_init {
  new apps = directors.round_robin();
${backends.map((_, at) => `  apps.add_backend(app${at});`).join('\n')}
}
sub vcl_recv { set req.backend_hint = apps.backend(); return (hash); }
sub vcl_hash { hash_data(req.http.Authorization); }
sub vcl_backend_response { set beresp.ttl = 60s; return (deliver); }
`
    writeFileSync(join(folder, 'default.vcl'), vcl)
    const listen = ['-a', `127.0.0.1:${port}`, '-f', join(folder, 'default.vcl')]
    return ['-F', '-j', 'none', '-n', join(folder, 'work'), '-s', 'malloc,64m', ...listen]
  },
}

/** Why the proxy cannot be used here; undefined if it can. */
export function findObstacle(proxy: Proxy): string | undefined {
  if (isInstalled(proxy)) return undefined
  if (process.getuid?.() !== 0 || spawnSync('apt-get', ['--version']).status !== 0) {
    return `${proxy.binary} is not installed, and can only be installed by apt-get as root`
  }
  // At run level 1, the packages' own servers are not started.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' }
  spawnSync('apt-get', ['update', '-qq'], { env, stdio: 'ignore' })
  const { status } = spawnSync('apt-get', ['install', '-y', '-qq', proxy.debianPackage], { env, stdio: 'ignore' })
  return status === 0 && isInstalled(proxy) ? undefined : `apt-get install ${proxy.debianPackage} failed (${status})`
}

function isInstalled({ binary, versionArguments }: Proxy): boolean {
  return spawnSync(binary, versionArguments).error === undefined
}

export function versionOf({ binary, versionArguments }: Proxy): string {
  const { stdout, stderr } = spawnSync(binary, versionArguments, { encoding: 'utf8' })
  return /\d+\.\d+\.\d+/.exec(`${stdout}${stderr}`)?.[0] ?? 'unknown'
}

export async function startFront(proxy: Proxy, backends: readonly number[]): Promise<Front> {
  const folder = mkdtempSync(join(tmpdir(), 'dspinlock-front-'))
  const port = await findFreePort()
  const child = spawn(proxy.binary, proxy.prepare(folder, port, backends), { stdio: ['ignore', 'ignore', 'pipe'] })
  let complaints = ''
  child.stderr.on('data', (data: Buffer) => {
    complaints = (complaints + data.toString()).slice(-2_000)
  })
  const kill = (): void => void child.kill('SIGKILL')
  process.once('exit', kill)
  const stop = async (): Promise<void> => {
    process.removeListener('exit', kill)
    await end(child)
    rmSync(folder, { recursive: true, force: true })
  }
  const deadline = performance.now() + 10_000
  while (!(await isListening(port))) {
    if (child.exitCode !== null || performance.now() > deadline) {
      await stop()
      throw new Error(`${proxy.name} did not start: ${complaints}`)
    }
    await delay(50)
  }
  return { port, stop }
}

/** Stops it by SIGTERM, because a child of its own would outlive a parent that was killed. */
async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), 5_000)
  await exited
  clearTimeout(timer)
}
