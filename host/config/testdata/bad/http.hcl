app "a" {
  module = "a.wasm"
  http {
    hosts   = ["a.example.com",
               "https://b.example.com",
               "c.example.com/v1",
               "*.com",
               "*"]
    private = ["10.0.0.1", "10.0.0.1/8"]
    rate    = 0

    header "Authorization" {
      value = env("A_KEY")
    }
    header "Host" {
      value = "x"
    }
    header "X-Key" {}
    header "x-key" {
      value = env("A", "B")
    }
    header "Y" {
      value = 12345
    }
    sign {
      secret = "short"
    }
  }
}

app "b" { module = env("B_MODULE") }
