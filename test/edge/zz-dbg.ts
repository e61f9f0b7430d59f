import { startListener } from '../../lib/edge/listener.js'
import { createDrain } from '../../lib/edge/drain.js'
import { setImmediate as turn, setTimeout as pause } from 'node:timers/promises'
import { connect } from 'node:net'
for (const wait of [1, 1, 1, 50]) {
  const l = await startListener(async (context, client) => {
    client.start(200, []); client.write(Buffer.from('half')); client.flush()
    if (wait === 1) await turn(); else if (wait) await pause(wait)
    client.abort(); console.log('finished', await client.finished)
  }, {address:'127.0.0.1',port:0,tls:undefined,peerAddress:()=>'x',drain:createDrain({graceMs:1})})
  await new Promise<void>(r => {
    const s = connect({port:l.port, allowHalfOpen:true}, () => s.write('GET /old HTTP/1.0\r\nHost: x\r\n\r\n'))
    s.on('data', d => console.log('data', d.length)).on('end', () => console.log('end')).on('error', e => console.log('error', (e as any).code)).on('close', () => { console.log('close'); r() })
  })
  await l.close()
}
