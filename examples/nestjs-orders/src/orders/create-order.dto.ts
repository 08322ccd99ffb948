// What an order must say.

import { IsInt, IsString, Length, Max, Min } from 'class-validator'

export class CreateOrderDto {
  @IsString() @Length(1, 100) customer!: string
  @IsString() @Length(1, 50) sku!: string
  @IsInt() @Min(1) @Max(100) quantity!: number
}
