module pointsman.example/go-proxy

go 1.22
