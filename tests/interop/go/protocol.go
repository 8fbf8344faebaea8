// SPDX-License-Identifier: Apache-2.0

// Options, profile v1's header carrier and compat-apikey on Go's crypto/tls, written from docs/protocol.md alone.
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"hash"
	"log"
	"os"
	"regexp"
	"strconv"
	"strings"
)

type hashInfo struct {
	number byte
	make   func() hash.Hash
	size   int
}

var hashes = map[string]hashInfo{
	"SHA-256": {4, sha256.New, 32}, "SHA-384": {5, sha512.New384, 48}, "SHA-512": {6, sha512.New, 64},
}

type options struct {
	profile, hash, id string
	key               []byte
	config            *tls.Config
	resume            bool
}

// Go chooses among the suites of TLS 1.3 itself.
var tls12Suites = map[string][]uint16{
	"aes128":   {tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256},
	"aes256":   {tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384},
	"chacha20": {tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305},
}

var groups = map[string][]tls.CurveID{"P-384": {tls.CurveP384}, "X25519MLKEM768": {0x11ec}}

var b64 = base64.RawURLEncoding.Strict()

func mac(h hashInfo, key []byte, parts ...[]byte) []byte {
	m := hmac.New(h.make, key)
	for _, part := range parts {
		m.Write(part)
	}
	return m.Sum(nil)
}

func u32(x uint32) []byte { return binary.BigEndian.AppendUint32(nil, x) }
func u64(x uint64) []byte { return binary.BigEndian.AppendUint64(nil, x) }

// Section 2.2; one block is enough.
func kdf(h hashInfo, key []byte, label string, context []byte, bits uint32) []byte {
	return mac(h, key, u32(1), []byte(label), []byte{0}, context, u32(bits))[:bits/8]
}

// What both ends know of one channel.
type channel struct {
	h             hashInfo
	check, secret []byte
}

func (c *channel) jwsKey() []byte {
	return kdf(c.h, c.secret, "ekmotp v1 jws", nil, uint32(8*c.h.size))
}
func (c *channel) jweKey() []byte { return kdf(c.h, c.secret, "ekmotp v1 jwe", nil, 256) }

func newChannel(state tls.ConnectionState, o *options) (*channel, error) {
	h := hashes[o.hash]
	context := append([]byte{1, h.number}, byte(len(o.id)>>8), byte(len(o.id)))
	exported, err := state.ExportKeyingMaterial("EXPERIMENTAL-ekmotp-v1", append(context, o.id...), h.size+16)
	if err != nil {
		return nil, err
	}
	secret := kdf(h, o.key, "ekmotp v1 channel", exported[:h.size], uint32(8*h.size))
	return &channel{h, exported[h.size:], secret}, nil
}

func (c *channel) clientProof(n uint64) []byte {
	return kdf(c.h, c.secret, "ekmotp v1 client proof", u64(n), 256)
}

func (c *channel) info(n uint64) string {
	return "p=" + b64.EncodeToString(kdf(c.h, c.secret, "ekmotp v1 server proof", u64(n), 256))
}

func compatKey(state tls.ConnectionState, o *options) (string, error) {
	ekm, err := state.ExportKeyingMaterial("EXPORTER-my_label", []byte(o.id), 32)
	if err != nil {
		return "", err
	}
	derived := mac(hashes["SHA-256"], o.key, u32(0), ekm, u32(256))
	if o.profile == "compat-apikey-hmac" {
		derived = mac(hashes["SHA-256"], o.key, ekm)
	}
	return base64.StdEncoding.EncodeToString(derived), nil
}

// The header fields of request n, and the answer's Authentication-Info ("" in the compat profiles).
func credentials(state tls.ConnectionState, o *options, n uint64) (map[string]string, string, error) {
	if strings.HasPrefix(o.profile, "compat-apikey") {
		key, err := compatKey(state, o)
		return map[string]string{"client": o.id, "apikey": key}, "", err
	}
	if o.profile != "v1" {
		return bearer(state, o, n)
	}
	c, err := newChannel(state, o)
	if err != nil {
		return nil, "", err
	}
	value := fmt.Sprintf("EKMOTP k=%s, n=%d, p=%s, v=%s", b64.EncodeToString([]byte(o.id)), n,
		b64.EncodeToString(c.clientProof(n)), b64.EncodeToString(c.check))
	return map[string]string{"Authorization": value}, c.info(n), nil
}

var field = regexp.MustCompile(`^([knpv]) *= *"?([A-Za-z0-9_-]+)"?$`)

// The n of an Authorization field whose proof is right, and the answer's Authentication-Info.
func verify(value string, state tls.ConnectionState, o *options) (uint64, string, error) {
	if !strings.HasPrefix(value, "EKMOTP ") {
		return 0, "", errors.New("another scheme")
	}
	found := map[string]string{}
	for _, part := range strings.Split(value[len("EKMOTP "):], ",") {
		m := field.FindStringSubmatch(strings.TrimSpace(part))
		if m == nil || found[m[1]] != "" {
			return 0, "", errors.New("malformed")
		}
		found[m[1]] = m[2]
	}
	c, err := newChannel(state, o)
	if err != nil {
		return 0, "", err
	}
	n, err := strconv.ParseUint(found["n"], 10, 64)
	if err != nil || n == 0 || strconv.FormatUint(n, 10) != found["n"] {
		return 0, "", errors.New("n")
	}
	check, _ := b64.DecodeString(found["v"])
	proof, _ := b64.DecodeString(found["p"])
	if found["k"] != b64.EncodeToString([]byte(o.id)) || !hmac.Equal(check, c.check) {
		return 0, "", errors.New("another session or client")
	}
	if !hmac.Equal(proof, c.clientProof(n)) {
		return 0, "", errors.New("wrong proof")
	}
	return n, c.info(n), nil
}

// The options that client and server share; more adds the program's own.
func parse(more func()) *options {
	o := &options{config: &tls.Config{MinVersion: tls.VersionTLS12}}
	flag.StringVar(&o.profile, "profile", "v1", "")
	flag.StringVar(&o.hash, "hash", "SHA-256", "")
	flag.StringVar(&o.id, "id", "client1", "")
	key, version := flag.String("client-key", "", ""), flag.String("tls", "", "")
	cipher, group, event := flag.String("cipher", "", ""), flag.String("groups", "", ""), flag.String("event", "", "")
	more()
	flag.Parse()
	o.config.CipherSuites, o.config.CurvePreferences = tls12Suites[*cipher], groups[*group]
	o.resume = *event == "resumed"
	var err error
	if o.key, err = os.ReadFile(*key); err != nil {
		log.Fatal(err)
	}
	switch *version {
	case "1.2":
		o.config.MaxVersion = tls.VersionTLS12
	case "1.3":
		o.config.MinVersion = tls.VersionTLS13
	}
	return o
}
