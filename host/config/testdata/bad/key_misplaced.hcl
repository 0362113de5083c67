silence = "5s"
module  = "a.wasm"

pool {
  listen = "127.0.0.1:7080"
}

app "a" {
  module = "a.wasm"
  wall   = "250ms"

  limits {
    grant = ["audio"]
  }
}
