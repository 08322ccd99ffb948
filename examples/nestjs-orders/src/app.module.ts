// The application: orders, and locks in memory or on Redis.

import { DspinlockInterceptor, DspinlockModule } from '@dspinlock/nestjs'
import { redisStore } from '@dspinlock/redis'
import { Module } from '@nestjs/common'
import { APP_INTERCEPTOR } from '@nestjs/core'
import { OrdersModule } from './orders/orders.module.js'

@Module({
  imports: [
    DspinlockModule.forRootAsync({
      useFactory: () => {
        const url = process.env['REDIS_URL']
        return url === undefined ? {} : { store: redisStore(url) }
      },
    }),
    OrdersModule,
  ],
  // Whatever changes something and says nothing of its own: duplicates wait their turn.
  providers: [{ provide: APP_INTERCEPTOR, useClass: DspinlockInterceptor }],
})
export class AppModule {}
