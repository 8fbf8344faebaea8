// SPDX-License-Identifier: Apache-2.0

// demo_wire speaks the wire of the Go demo that ekmotp grew out of, written from docs/protocol.md with Go's
// standard library alone. The variants are apikey, apikey-hmac, jws and jwe.
//
//	demo_wire client URL CA-FILE CLIENT-ID KEY-FILE VARIANT [spoil]
//	demo_wire server CERTIFICATE-FILE PRIVATE-KEY-FILE CLIENT-ID KEY-FILE VARIANT
//
// The client prints the status and body of the answer; with "spoil" it sends what was made for another
// connection. The server prints its port, then one line per request; like the demo's it answers a refusal with
// 500 and its text.
package main

import (
	"bufio"
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
)

const (
	jwsHeader = `{"alg":"HS256"}`
	jweHeader = `{"alg":"dir","cty":"JWT","enc":"A256GCM","kid":"client_1","typ":"JWT"}`
	claims    = `{"iss":"issuer","sub":"subject"}`
)

var b64 = base64.RawURLEncoding

func mac(key []byte, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, key)
	for _, part := range parts {
		h.Write(part)
	}
	return h.Sum(nil)
}

func derive(state *tls.ConnectionState, key []byte, label, context string, kdf bool) ([]byte, error) {
	ekm, err := state.ExportKeyingMaterial(label, []byte(context), 32)
	if err != nil {
		return nil, err
	}
	if kdf {
		// SP 800-108 as the demo has it: the counter begins at 0, no label, no separator, L = 256 bits.
		return mac(key, []byte{0, 0, 0, 0}, ekm, []byte{0, 0, 1, 0}), nil
	}
	return mac(key, ekm), nil
}

func jwtKeys(state *tls.ConnectionState, key []byte) (sig, enc []byte, err error) {
	sig, err = derive(state, key, "EXPORTER-Channel-Binding", "sig_key", false)
	if err == nil {
		enc, err = derive(state, key, "EXPORTER-Channel-Binding", "enc_key", false)
	}
	return sig, enc, err
}

func signed(sig []byte) string {
	input := b64.EncodeToString([]byte(jwsHeader)) + "." + b64.EncodeToString([]byte(claims))
	return input + "." + b64.EncodeToString(mac(sig, []byte(input)))
}

func gcm(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func encrypted(enc []byte, plain string) (string, error) {
	aead, err := gcm(enc)
	if err != nil {
		return "", err
	}
	header := b64.EncodeToString([]byte(jweHeader))
	iv := make([]byte, aead.NonceSize())
	if _, err := rand.Read(iv); err != nil {
		return "", err
	}
	sealed := aead.Seal(nil, iv, []byte(plain), []byte(header))
	n := len(sealed) - aead.Overhead()
	return strings.Join([]string{header, "", b64.EncodeToString(iv), b64.EncodeToString(sealed[:n]),
		b64.EncodeToString(sealed[n:])}, "."), nil
}

// credentials are the header fields of a request on the connection.
func credentials(state *tls.ConnectionState, id string, key []byte, variant string) (http.Header, error) {
	fields := http.Header{}
	if strings.HasPrefix(variant, "apikey") {
		value, err := derive(state, key, "EXPORTER-my_label", id, variant == "apikey")
		fields["client"] = []string{id}
		fields["apikey"] = []string{base64.StdEncoding.EncodeToString(value)}
		return fields, err
	}
	sig, enc, err := jwtKeys(state, key)
	if err != nil {
		return nil, err
	}
	token := signed(sig)
	if variant == "jwe" {
		token, err = encrypted(enc, token)
	}
	fields.Set("Authorization", "Bearer "+token)
	return fields, err
}

// opened is the JWS inside a JWE, whose header must be the demo's to the byte.
func opened(token string, enc []byte) (string, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 5 || parts[0] != b64.EncodeToString([]byte(jweHeader)) || parts[1] != "" {
		return "", fmt.Errorf("not the demo's JWE: %s", token)
	}
	var raw [3][]byte
	for i := range raw {
		var err error
		if raw[i], err = b64.Strict().DecodeString(parts[2+i]); err != nil {
			return "", err
		}
	}
	aead, err := gcm(enc)
	if err != nil || len(raw[0]) != aead.NonceSize() {
		return "", errors.New("the iv has another size")
	}
	plain, err := aead.Open(nil, raw[0], append(raw[1], raw[2]...), []byte(parts[0]))
	return string(plain), err
}

func check(r *http.Request, id string, key []byte, variant string) error {
	if strings.HasPrefix(variant, "apikey") {
		want, err := credentials(r.TLS, id, key, variant)
		if err != nil {
			return err
		}
		if r.Header.Get("client") != id || r.Header.Get("apikey") != want["apikey"][0] {
			return fmt.Errorf("client or apikey is wrong: %s", r.Header.Get("apikey"))
		}
		return nil
	}
	sig, enc, err := jwtKeys(r.TLS, key)
	if err != nil {
		return err
	}
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	if variant == "jwe" {
		if token, err = opened(token, enc); err != nil {
			return err
		}
	}
	if token != signed(sig) {
		return fmt.Errorf("not the demo's JWS to the byte: %s", token)
	}
	return nil
}

func serve(certificate, private, id string, key []byte, variant string) error {
	pair, err := tls.LoadX509KeyPair(certificate, private)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	handler := func(w http.ResponseWriter, r *http.Request) {
		if err := check(r, id, key, variant); err != nil {
			fmt.Println("refused:", err)
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Println("accepted", r.Proto)
		fmt.Fprint(w, "ok")
	}
	server := http.Server{Handler: http.HandlerFunc(handler),
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13}}
	return server.ServeTLS(listener, "", "")
}

func request(to *url.URL, config *tls.Config, id string, key []byte, variant string, spoil bool) error {
	conn, err := tls.Dial("tcp", to.Host, config)
	if err != nil {
		return err
	}
	defer conn.Close()
	state := conn.ConnectionState()
	if spoil {
		other, err := tls.Dial("tcp", to.Host, config)
		if err != nil {
			return err
		}
		defer other.Close()
		state = other.ConnectionState()
	}
	fields, err := credentials(&state, id, key, variant)
	if err != nil {
		return err
	}
	var head bytes.Buffer
	fmt.Fprintf(&head, "GET %s HTTP/1.1\r\nHost: %s\r\n", to.RequestURI(), to.Host)
	if err := fields.Write(&head); err != nil {
		return err
	}
	head.WriteString("\r\n")
	if _, err := conn.Write(head.Bytes()); err != nil {
		return err
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(answer.Body)
	fmt.Println(answer.StatusCode, strings.TrimSpace(string(body)))
	return err
}

func run(args []string) error {
	if len(args) < 6 {
		return errors.New("usage: see the head of demo_wire.go")
	}
	key, err := os.ReadFile(args[4])
	if err != nil {
		return err
	}
	if args[0] == "server" {
		return serve(args[1], args[2], args[3], key, args[5])
	}
	to, err := url.Parse(args[1])
	if err != nil {
		return err
	}
	pem, err := os.ReadFile(args[2])
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return request(to, &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}, args[3], key, args[5], len(args) > 6)
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "demo_wire:", err)
		os.Exit(1)
	}
}
