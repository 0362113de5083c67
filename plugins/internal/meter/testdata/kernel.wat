;; Kernels as a C compiler makes them, for the benchmark.
;; Rebuild with: wat2wasm kernel.wat -o kernel.wasm
(module
  (memory (export "memory") 24)
  (func $fib (export "fib") (param $n i32) (result i32)
    local.get $n
    i32.const 2
    i32.lt_s
    if
      local.get $n
      return
    end
    local.get $n
    i32.const 1
    i32.sub
    call $fib
    local.get $n
    i32.const 2
    i32.sub
    call $fib
    i32.add)

  ;; c[i][j] = sum of a[i][x]*b[x][j] over 128x128 matrices, $k times
  (func (export "matmul") (param $k i32) (result i32)
    (local $i i32) (local $j i32) (local $x i32) (local $s f64) (local $a i32) (local $b i32)
    loop $times
      i32.const 0
      local.set $i
      loop $rows
        i32.const 0
        local.set $j
        loop $columns
          f64.const 0
          local.set $s
          i32.const 128
          local.set $x
          local.get $i
          i32.const 1024
          i32.mul
          local.set $a
          local.get $j
          i32.const 8
          i32.mul
          i32.const 131072
          i32.add
          local.set $b
          loop $sum
            local.get $s
            local.get $a
            f64.load
            local.get $b
            f64.load
            f64.mul
            f64.add
            local.set $s
            local.get $a
            i32.const 8
            i32.add
            local.set $a
            local.get $b
            i32.const 1024
            i32.add
            local.set $b
            local.get $x
            i32.const 1
            i32.sub
            local.tee $x
            br_if $sum
          end
          local.get $i
          i32.const 1024
          i32.mul
          local.get $j
          i32.const 8
          i32.mul
          i32.add
          local.get $s
          f64.store offset=262144
          local.get $j
          i32.const 1
          i32.add
          local.tee $j
          i32.const 128
          i32.lt_u
          br_if $columns
        end
        local.get $i
        i32.const 1
        i32.add
        local.tee $i
        i32.const 128
        i32.lt_u
        br_if $rows
      end
      local.get $k
      i32.const 1
      i32.sub
      local.tee $k
      br_if $times
    end
    i32.const 262144
    i32.load)

  ;; primes below 2^20
  (func (export "sieve") (param $k i32) (result i32)
    (local $i i32) (local $j i32) (local $count i32)
    loop $times
      i32.const 0
      i32.const 1
      i32.const 1048576
      memory.fill
      i32.const 0
      local.set $count
      i32.const 2
      local.set $i
      loop $numbers
        block $composite
          local.get $i
          i32.load8_u
          i32.eqz
          br_if $composite
          local.get $count
          i32.const 1
          i32.add
          local.set $count
          local.get $i
          i32.const 524287
          i32.gt_u
          br_if $composite
          local.get $i
          i32.const 1
          i32.shl
          local.set $j
          loop $multiples
            local.get $j
            i32.const 0
            i32.store8
            local.get $j
            local.get $i
            i32.add
            local.tee $j
            i32.const 1048576
            i32.lt_u
            br_if $multiples
          end
        end
        local.get $i
        i32.const 1
        i32.add
        local.tee $i
        i32.const 1048576
        i32.lt_u
        br_if $numbers
      end
      local.get $k
      i32.const 1
      i32.sub
      local.tee $k
      br_if $times
    end
    local.get $count)

  ;; energy of 8000 samples with a branch in the loop
  (func (export "energy") (param $k i32) (result i32)
    (local $i i32) (local $v i32) (local $t i64)
    loop $times
      i32.const 0
      local.set $i
      loop $samples
        local.get $i
        i32.const 1
        i32.shl
        i32.load16_s
        local.get $i
        local.get $k
        i32.mul
        i32.const 255
        i32.and
        i32.add
        local.tee $v
        local.get $v
        i32.mul
        i64.extend_i32_s
        local.get $t
        i64.add
        local.set $t
        local.get $v
        i32.const 100
        i32.gt_s
        if
          local.get $t
          i64.const 1
          i64.add
          local.set $t
        else
          local.get $t
          i64.const 1
          i64.sub
          local.set $t
        end
        local.get $i
        i32.const 1
        i32.add
        local.tee $i
        i32.const 8000
        i32.lt_u
        br_if $samples
      end
      local.get $k
      i32.const 1
      i32.sub
      local.tee $k
      br_if $times
    end
    local.get $t
    i32.wrap_i64)
)
