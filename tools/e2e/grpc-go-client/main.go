// grpc-go-client sends requests to an ext_proc server as a proxy does, over plaintext or TLS, and prints one line of
// JSON: {"requests": N, "errors": N, "first_error": "...", "tls": "TLS 1.3"}. It exits 1 when a request fails.
//
// A request is one stream: request headers, the body in pieces, then, when a destination has come, response headers and
// the chunks of an event stream.
package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extproc "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/peer"
)

var (
	addr     = flag.String("addr", "127.0.0.1:9002", "ext_proc server")
	useTLS   = flag.Bool("tls", false, "speak TLS; the server's certificate is not verified")
	maxTLS   = flag.String("max-tls", "1.3", "newest TLS version: 1.2 or 1.3")
	compress = flag.Bool("gzip", false, "compress the messages")
	requests = flag.Int("requests", 200, "requests in all")
	workers  = flag.Int("c", 16, "requests at a time")
	prompt   = flag.Int("prompt", 1200, "bytes of the prompt")
	chunks   = flag.Int("chunks", 20, "chunks of the answer")
)

const pieceBytes = 64 * 1024
const requestTime = 60 * time.Second

func header(key, value string) *corev3.HeaderValue {
	return &corev3.HeaderValue{Key: key, RawValue: []byte(value)}
}

func headers(pairs ...*corev3.HeaderValue) *extproc.HttpHeaders {
	return &extproc.HttpHeaders{Headers: &corev3.HeaderMap{Headers: pairs}}
}

func exchange(client extproc.ExternalProcessorClient, number int, seen *peer.Peer) error {
	ctx, cancel := context.WithTimeout(context.Background(), requestTime)
	defer cancel()
	stream, err := client.Process(ctx, grpc.Peer(seen))
	if err != nil {
		return err
	}
	body := []byte(fmt.Sprintf(`{"model":"Qwen/Qwen3-8B","stream":true,"messages":[{"role":"user","content":"%d %s"}]}`,
		number, strings.Repeat("x", *prompt)))
	err = stream.Send(&extproc.ProcessingRequest{Request: &extproc.ProcessingRequest_RequestHeaders{RequestHeaders: headers(
		header(":method", "POST"), header(":path", "/v1/chat/completions"), header("content-type", "application/json"),
		header("x-request-id", fmt.Sprintf("go-%d", number)))}})
	if err != nil {
		return err
	}
	for at := 0; at < len(body); at += pieceBytes {
		end := min(at+pieceBytes, len(body))
		piece := &extproc.HttpBody{Body: body[at:end], EndOfStream: end == len(body)}
		if err := stream.Send(&extproc.ProcessingRequest{Request: &extproc.ProcessingRequest_RequestBody{RequestBody: piece}}); err != nil {
			return err
		}
	}
	destination := ""
	returned := 0
	for {
		reply, err := stream.Recv()
		if err != nil {
			return fmt.Errorf("request: %w", err)
		}
		if immediate := reply.GetImmediateResponse(); immediate != nil {
			return fmt.Errorf("refused with %v: %s", immediate.GetStatus(), immediate.GetBody())
		}
		for _, option := range reply.GetRequestHeaders().GetResponse().GetHeaderMutation().GetSetHeaders() {
			if option.GetHeader().GetKey() == "x-gateway-destination-endpoint" {
				destination = string(option.GetHeader().GetRawValue())
			}
		}
		piece := reply.GetRequestBody().GetResponse().GetBodyMutation().GetStreamedResponse()
		returned += len(piece.GetBody())
		if piece.GetEndOfStream() {
			break
		}
	}
	if destination == "" {
		return errors.New("no destination")
	}
	if returned != len(body) {
		return fmt.Errorf("%d bytes of the body came back, sent were %d", returned, len(body))
	}
	err = stream.Send(&extproc.ProcessingRequest{Request: &extproc.ProcessingRequest_ResponseHeaders{ResponseHeaders: headers(
		header(":status", "200"), header("content-type", "text/event-stream"))}})
	if err != nil {
		return err
	}
	sent := 0
	for chunk := 0; chunk < *chunks; chunk++ {
		text := fmt.Sprintf("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\" %d\"}}]}\n\n", chunk)
		sent += len(text)
		piece := &extproc.HttpBody{Body: []byte(text), EndOfStream: chunk == *chunks-1}
		if err := stream.Send(&extproc.ProcessingRequest{Request: &extproc.ProcessingRequest_ResponseBody{ResponseBody: piece}}); err != nil {
			return err
		}
	}
	for got := 0; ; {
		reply, err := stream.Recv()
		if err != nil {
			return fmt.Errorf("response: %w", err)
		}
		piece := reply.GetResponseBody().GetResponse().GetBodyMutation().GetStreamedResponse()
		got += len(piece.GetBody())
		if piece.GetEndOfStream() {
			if got != sent {
				return fmt.Errorf("%d bytes of the answer came back, sent were %d", got, sent)
			}
			break
		}
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	if _, err := stream.Recv(); err != io.EOF {
		return fmt.Errorf("the stream ended with %w", err)
	}
	return nil
}

func main() {
	flag.Parse()
	security := insecure.NewCredentials()
	if *useTLS {
		newest := uint16(tls.VersionTLS13)
		if *maxTLS == "1.2" {
			newest = tls.VersionTLS12
		}
		security = credentials.NewTLS(&tls.Config{InsecureSkipVerify: true, MaxVersion: newest})
	}
	options := []grpc.DialOption{grpc.WithTransportCredentials(security)}
	if *compress {
		options = append(options, grpc.WithDefaultCallOptions(grpc.UseCompressor(gzip.Name)))
	}
	connection, err := grpc.NewClient(*addr, options...)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	client := extproc.NewExternalProcessorClient(connection)
	numbers := make(chan int)
	var lock sync.Mutex
	var group sync.WaitGroup
	done, failed, first, version := 0, 0, "", ""
	for worker := 0; worker < *workers; worker++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for number := range numbers {
				var seen peer.Peer
				err := exchange(client, number, &seen)
				lock.Lock()
				if err == nil {
					done++
				} else if failed++; failed == 1 {
					first = err.Error()
				}
				if info, ok := seen.AuthInfo.(credentials.TLSInfo); ok {
					version = tls.VersionName(info.State.Version)
				}
				lock.Unlock()
			}
		}()
	}
	for number := 0; number < *requests; number++ {
		numbers <- number
	}
	close(numbers)
	group.Wait()
	line, _ := json.Marshal(map[string]any{"requests": done, "errors": failed, "first_error": first, "tls": version})
	fmt.Println(string(line))
	if failed > 0 || done == 0 {
		os.Exit(1)
	}
}
