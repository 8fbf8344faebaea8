// SPDX-License-Identifier: Apache-2.0

// A client on Go's crypto/tls: the options and the checks are those of ../node/client.js.
package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"log"
	"net/http"
	"net/url"
	"os"
	"strings"
)

type connection struct {
	*tls.Conn
	reader *bufio.Reader
}

var (
	o       *options
	address *url.URL
)

func connect() *connection {
	c, err := tls.Dial("tcp", address.Host, o.config)
	if err != nil {
		log.Fatal(err)
	}
	return &connection{c, bufio.NewReader(c)}
}

func (c *connection) request(fields map[string]string) *http.Response {
	r, _ := http.NewRequest("GET", address.String(), nil)
	for name, value := range fields {
		r.Header[name] = []string{value}
	}
	if err := r.Write(c); err != nil {
		log.Fatal(err)
	}
	answer, err := http.ReadResponse(c.reader, r)
	if err != nil {
		log.Fatal(err)
	}
	var body strings.Builder
	bufio.NewReader(answer.Body).WriteTo(&body)
	answer.Body.Close()
	return answer
}

func (c *connection) credentials(n uint64) (map[string]string, string) {
	fields, info, err := credentials(c.ConnectionState(), o, n)
	if err != nil {
		log.Fatal(err)
	}
	return fields, info
}

func (c *connection) accepted(n uint64) map[string]string {
	fields, info := c.credentials(n)
	answer := c.request(fields)
	if answer.StatusCode != 200 {
		log.Fatalf("request %d: status %d, not 200", n, answer.StatusCode)
	}
	if answer.Header.Get("Authentication-Info") != info {
		log.Fatalf("request %d: the server's proof is missing or wrong", n)
	}
	return fields
}

func (c *connection) refused(fields map[string]string, what string) {
	answer := c.request(fields)
	challenge := answer.Header.Get("WWW-Authenticate")
	if answer.StatusCode != 401 || !strings.HasPrefix(challenge, `EKMOTP realm="`) ||
		answer.Header.Get("Authentication-Info") != "" {
		log.Fatalf("%s: status %d, challenge %s; not a uniform 401", what, answer.StatusCode, challenge)
	}
}

func (c *connection) exported() []byte {
	state := c.ConnectionState()
	out, err := state.ExportKeyingMaterial("EXPERIMENTAL-matrix", []byte("matrix"), 32)
	if err != nil {
		log.Fatal(err)
	}
	return out
}

// The third character of the proof, another one.
func flipped(fields map[string]string) map[string]string {
	changed := map[string]string{}
	for name, value := range fields {
		at := 2
		if name == "Authorization" {
			at = strings.Index(value, "p=") + 4
		}
		if name != "client" {
			if strings.HasPrefix(value, "Bearer") {
				at = strings.LastIndex(value, ".") + 3
			}
			other := "A"
			if value[at] == 'A' {
				other = "B"
			}
			value = value[:at] + other + value[at+1:]
		}
		changed[name] = value
	}
	return changed
}

func main() {
	log.SetFlags(0)
	var ca, where *string
	o = parse(func() { ca, where = flag.String("ca", "", ""), flag.String("url", "", "") })
	address, _ = url.Parse(*where)
	pem, err := os.ReadFile(*ca)
	if err != nil {
		log.Fatal(err)
	}
	o.config.RootCAs = x509.NewCertPool()
	o.config.RootCAs.AppendCertsFromPEM(pem)
	if o.resume {
		o.config.ClientSessionCache = tls.NewLRUClientSessionCache(8)
	}

	one := connect()
	first := one.accepted(1)
	one.accepted(2)
	third, _ := one.credentials(3)
	one.refused(flipped(third), "one bit changed")
	if strings.HasPrefix(o.profile, "v1") {
		one.refused(first, "the same request again")
	}
	one.refused(nil, "no credentials")
	two := connect()
	two.refused(first, "the same proof on a second connection")
	two.accepted(1)
	if two.ConnectionState().DidResume != o.resume {
		log.Fatalf("the second connection: resumed is %v", !o.resume)
	}
	if bytes.Equal(one.exported(), two.exported()) {
		log.Fatal("both connections export the same")
	}
	fmt.Printf("ok %s %s %x\n", o.profile, o.hash, one.ConnectionState().Version)
}
