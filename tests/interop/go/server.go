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
	"strings"
	"sync"
)

type seenKey struct{}

var o *options

func check(r *http.Request) (string, error) {
	if strings.HasPrefix(o.profile, "compat-apikey") {
		key, err := compatKey(*r.TLS, o)
		given := r.Header.Get("apikey")
		if err != nil || r.Header.Get("client") != o.id || subtle.ConstantTimeCompare([]byte(key), []byte(given)) != 1 {
			return "", errors.New("wrong proof")
		}
		return "", nil
	}
	verifier := verifyBearer
	if o.profile == "v1" {
		verifier = verify
	}
	n, info, err := verifier(r.Header.Get("Authorization"), *r.TLS, o)
	if err != nil {
		return "", err
	}
	_, again := r.Context().Value(seenKey{}).(*sync.Map).LoadOrStore(n, true)
	if again && strings.HasPrefix(o.profile, "v1") {
		return "", errors.New("replay")
	}
	return info, nil
}

func main() {
	log.SetFlags(0)
	var cert, certKey, lie, closing, h2 *string
	o = parse(func() {
		cert, certKey = flag.String("cert", "", ""), flag.String("cert-key", "", "")
		lie, closing, h2 = flag.String("lie", "", ""), flag.String("close", "", ""), flag.String("http2", "", "")
	})
	pair, err := tls.LoadX509KeyPair(*cert, *certKey)
	if err != nil {
		log.Fatal(err)
	}
	o.config.Certificates = []tls.Certificate{pair}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	server := http.Server{
		ConnContext: func(c context.Context, _ net.Conn) context.Context {
			return context.WithValue(c, seenKey{}, &sync.Map{})
		},
		TLSConfig: o.config,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if *closing != "" {
				w.Header().Set("Connection", "close")
			}
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
	}
	if *h2 == "" {
		server.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){}
	}
	fmt.Println("listening", listener.Addr().(*net.TCPAddr).Port)
	log.Fatal(server.ServeTLS(listener, "", ""))
}
