// SPDX-License-Identifier: Apache-2.0

// A server on Go's crypto/tls: the options and the lines that it prints are those of ../node/server.js.
package main

import (
	"context"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"sync"
)

type seenKey struct{}

var o *options

func check(r *http.Request) (string, error) {
	if o.profile == "compat-apikey" {
		key, err := compatKey(*r.TLS, o)
		given := r.Header.Get("apikey")
		if err != nil || r.Header.Get("client") != o.id || subtle.ConstantTimeCompare([]byte(key), []byte(given)) != 1 {
			return "", errors.New("wrong proof")
		}
		return "", nil
	}
	n, channel, err := verify(r.Header.Get("Authorization"), *r.TLS, o)
	if err != nil {
		return "", err
	}
	if _, again := r.Context().Value(seenKey{}).(*sync.Map).LoadOrStore(n, true); again {
		return "", errors.New("replay")
	}
	return channel.info(n), nil
}

func main() {
	log.SetFlags(0)
	var cert, certKey, port, lie *string
	o = parse(func() {
		cert, certKey = flag.String("cert", "", ""), flag.String("cert-key", "", "")
		port, lie = flag.String("port", "0", ""), flag.String("lie", "", "")
	})
	pair, err := tls.LoadX509KeyPair(*cert, *certKey)
	if err != nil {
		log.Fatal(err)
	}
	o.config.Certificates = []tls.Certificate{pair}
	listener, err := net.Listen("tcp", "127.0.0.1:"+*port)
	if err != nil {
		log.Fatal(err)
	}
	server := http.Server{
		ConnContext: func(c context.Context, _ net.Conn) context.Context {
			return context.WithValue(c, seenKey{}, &sync.Map{})
		},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			info, err := check(r)
			if err != nil {
				fmt.Println("refused", err)
				w.Header().Set("WWW-Authenticate", `EKMOTP realm="go"`)
				http.Error(w, "refused", http.StatusUnauthorized)
				return
			}
			if *lie != "" {
				other := "A"
				if info[2] == 'A' {
					other = "B"
				}
				info = info[:2] + other + info[3:]
			}
			if info != "" {
				w.Header().Set("Authentication-Info", info)
			}
			fmt.Fprint(w, "ok")
			fmt.Printf("accepted %x %s%s\n", r.TLS.Version, r.Header.Get("Authorization"), r.Header.Get("apikey"))
		}),
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
	}
	fmt.Println("listening", listener.Addr().(*net.TCPAddr).Port)
	log.Fatal(server.Serve(tls.NewListener(listener, o.config)))
}
