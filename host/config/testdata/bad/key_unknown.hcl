lisen = "127.0.0.1:7080"
color = "blue"

pool {
  worker = 4
}

app "a" {
  moduel = "a.wasm"
  module = "a.wasm"

  limits {
    time = "250ms"
  }
}
