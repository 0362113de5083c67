;; Each function is one row of the table in fuel_test.go, which says what a call
;; of it costs. Rebuild with: wat2wasm --enable-tail-call fuel.wat -o fuel.wasm
(module
  (type $v (func))
  (type $i (func (param i32) (result i32)))
  (import "env" "host" (func $host (param i32) (result i32)))
  (memory 1 4)
  (data $d "0123456789abcdefghijklmnopqrstuvwxyz")
  (table $t 4 8 funcref)
  (elem $e (table $t) (i32.const 0) func $one $two)
  (elem $p func $one $one $one)
  (global $g (mut i32) (i32.const 0))

  (func $empty (export "empty"))
  (func (export "nops") nop nop nop)
  (func $one (export "one") (type $i) local.get 0)
  (func $two (type $i) local.get 0 i32.const 1 i32.add)

  (func (export "block") block block nop end nop end nop)

  ;; br leaves two blocks; what is after it is never charged
  (func (export "br")
    block
      block
        nop
        br 1
        nop nop nop
      end
      nop
    end
    nop)

  (func (export "br_if") (type $i)
    block
      local.get 0
      br_if 0
      nop
      nop
    end
    i32.const 7)

  ;; to the function's own label, with its result
  (func (export "br_out") (type $i)
    i32.const 5
    local.get 0
    br_if 0
    i32.const 1
    i32.add)

  (func (export "if") (type $i)
    local.get 0
    if
      nop
      nop
    end
    i32.const 3)

  (func (export "if_else") (type $i)
    local.get 0
    if (result i32)
      nop
      i32.const 1
    else
      nop
      nop
      nop
      i32.const 2
    end)

  (func (export "if_return") (type $i)
    local.get 0
    if
      i32.const 1
      return
    end
    nop
    nop
    i32.const 2)

  (func (export "loop") (type $i)
    loop
      local.get 0
      i32.const 1
      i32.sub
      local.tee 0
      br_if 0
    end
    local.get 0)

  ;; a loop with a parameter and a result
  (func (export "loop_param") (type $i)
    local.get 0
    loop (param i32) (result i32)
      i32.const 1
      i32.sub
      local.tee 0
      local.get 0
      br_if 0
    end)

  (func (export "loop_nested") (param $n i32) (local $i i32)
    loop $outer
      local.get $n
      local.set $i
      loop $inner
        local.get $i
        i32.const 1
        i32.sub
        local.tee $i
        br_if $inner
      end
      local.get $n
      i32.const 1
      i32.sub
      local.tee $n
      br_if $outer
    end)

  (func (export "br_table") (param i32)
    block $c
      block $b
        block $a
          local.get 0
          br_table $a $b $c 3
        end
        nop
      end
      nop
      nop
    end
    nop)

  (func (export "multi") (param i32) (result i32 i64)
    block (result i32 i64)
      i32.const 1
      i64.const 2
      local.get 0
      br_if 0
      drop
      drop
      i32.const 3
      i64.const 4
      local.get 0
      br_if 1
    end)

  (func (export "call") (type $i) local.get 0 call $two call $two)
  (func (export "call_host") (type $i) local.get 0 call $host)
  (func (export "call_indirect") (type $i) i32.const 5 local.get 0 call_indirect $t (type $i))
  (func $down (export "return_call") (type $i)
    local.get 0
    if
      local.get 0
      i32.const 1
      i32.sub
      return_call $down
    end
    i32.const 0)
  (func (export "return_call_indirect") (type $i)
    i32.const 5 local.get 0 return_call_indirect $t (type $i))
  (func $fac (export "fac") (param i64) (result i64)
    local.get 0
    i64.eqz
    if (result i64)
      i64.const 1
    else
      local.get 0
      local.get 0
      i64.const 1
      i64.sub
      call $fac
      i64.mul
    end)

  (func (export "select") (type $i) i32.const 1 i32.const 2 local.get 0 select (result i32))
  (func (export "global") (type $i) local.get 0 global.set $g global.get $g)
  (func (export "ref_func") (result i32) ref.func $one ref.is_null)

  (func (export "memory.fill") (param i32) i32.const 0 i32.const 0xaa local.get 0 memory.fill)
  (func (export "memory.copy") (param i32) i32.const 64 i32.const 0 local.get 0 memory.copy)
  (func (export "memory.init") (param i32) i32.const 0 i32.const 0 local.get 0 memory.init $d)
  (func (export "memory.grow") (type $i) local.get 0 memory.grow)
  (func (export "table.grow") (type $i) ref.null func local.get 0 table.grow $t)
  (func (export "table.fill") (param i32) i32.const 0 ref.func $one local.get 0 table.fill $t)
  (func (export "table.copy") (param i32) i32.const 0 i32.const 0 local.get 0 table.copy $t $t)
  (func (export "table.init") (param i32) i32.const 0 i32.const 0 local.get 0 table.init $t $p)
  (func (export "fill_in_loop") (param i32)
    loop
      i32.const 0 i32.const 1 i32.const 32 memory.fill
      local.get 0 i32.const 1 i32.sub local.tee 0 br_if 0
    end)

  ;; traps
  (func (export "unreachable") nop nop unreachable)
  (func (export "load_trap") (param i32) nop call $empty nop local.get 0 i32.load drop)
  (func (export "loop_trap") (param i32)
    loop
      local.get 0 i32.const 1 i32.sub local.tee 0 br_if 0
    end
    i32.const -1 i32.load drop)
  (func (export "div_trap") (type $i) local.get 0 i32.const 0 i32.div_u)
  (func (export "indirect_trap") (type $i) i32.const 5 local.get 0 call_indirect $t (type $i))
  (func $deep (export "deep") call $deep)
  (func (export "spin") loop br 0 end)
)
