"""Signed zones as validators see them: delv, unbound as a validating resolver, and dnspython for single answers."""

import json
import re
import shutil
import subprocess
from datetime import datetime

import dns.dnssec
import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
from clients import kdig
from fleet import Metrics, NameServer, fetch_text
from nearside_harness import EXIT_CONFIG, SystemTest, main, require_program, run_program, wait_until
from unbound import Unbound

PLACES = {"tokyo": "133.11.0.0/16", "frankfurt": "84.128.0.0/16", "virginia": "128.84.0.0/16"}
ZONE = """$ORIGIN demo.test.
$TTL {ttl}
@        SOA   ns1 hostmaster 2026112001 3600 600 604800 {ttl}
@        NS    ns1
@        MX    10 mail
ns1      A     127.0.0.1
mail     A     192.0.2.25
static   A     192.0.2.100
static   A     192.0.2.101
alias    CNAME static
towww    CNAME www
broken   CNAME missing
tosecure CNAME www.secure
toplain  CNAME www.plain
*.wild   A     192.0.2.77
*.cwild  CNAME static
a.b.ent  TXT   "below an empty name"
like     ALIAS static
likewww  ALIAS www
svc      HTTPS 1 www alpn=h2 ipv4hint=0.0.0.0
plain    NS    ns1
secure   NS    ns1
{secure_ds}
"""
BELOW = """$TTL {ttl}
@    SOA  ns1.demo.test. hostmaster.demo.test. 1 3600 600 604800 {ttl}
@    NS   ns1.demo.test.
www  A    192.0.2.106
"""
# Every kind of answer: name, type, and what a resolver makes of it.
SECURE = (
    ("static.demo.test", "A", ["192.0.2.100", "192.0.2.101"]), ("demo.test", "MX", ["10 mail.demo.test."]),
    ("demo.test", "SOA", None), ("demo.test", "NS", ["ns1.demo.test."]), ("demo.test", "DNSKEY", None),
    ("demo.test", "CDS", None), ("demo.test", "CDNSKEY", None), ("static.demo.test", "ANY", None),
    ("alias.demo.test", "A", ["static.demo.test.", "192.0.2.100", "192.0.2.101"]),
    ("x.wild.demo.test", "A", ["192.0.2.77"]), ("x.y.wild.demo.test", "A", ["192.0.2.77"]),
    ("x.cwild.demo.test", "A", ["static.demo.test.", "192.0.2.100", "192.0.2.101"]),
    ("like.demo.test", "A", ["192.0.2.100", "192.0.2.101"]), ("likewww.demo.test", "A", None),
    ("svc.demo.test", "HTTPS", None),
    ("www.demo.test", "A", None), ("towww.demo.test", "A", None),
    ("www.secure.demo.test", "A", ["192.0.2.106"]), ("secure.demo.test", "DS", None),
    ("tosecure.demo.test", "A", ["www.secure.demo.test.", "192.0.2.106"]),
    # What proves, asked for itself; also of a name that does not exist, before and after it is denied.
    ("static.demo.test", "NSEC", None), ("ent.demo.test", "NSEC", None), ("x.wild.demo.test", "NSEC", None),
    ("nowhere.demo.test", "NSEC", None), ("nowhere.demo.test", "A", []), ("nowhere.demo.test", "NSEC", None),
    # Denied: no such name, type, at an empty name, under a wildcard, at the end of a chain, no DS.
    ("missing.demo.test", "A", []), ("a.b.c.missing.demo.test", "TXT", []), ("static.demo.test", "AAAA", []),
    ("b.ent.demo.test", "A", []), ("ent.demo.test", "TXT", []), ("x.wild.demo.test", "MX", []),
    ("www.demo.test", "TXT", []), ("broken.demo.test", "A", ["missing.demo.test."]), ("plain.demo.test", "DS", []),
    ("like.demo.test", "AAAA", []), ("like.demo.test", "TXT", []), ("likewww.demo.test", "AAAA", []),
    ("svc.demo.test", "A", []), ("missing.secure.demo.test", "A", []), ("demo.test", "TXT", []),
)
INSECURE = (("www.plain.demo.test", "A", ["192.0.2.106"]), ("missing.plain.demo.test", "A", []),
            ("toplain.demo.test", "A", ["www.plain.demo.test.", "192.0.2.106"]))


class DnssecTest(SystemTest):
    """Signed demo.test and secure.demo.test, and plain.demo.test which is not signed."""

    TTL = 60

    def setUp(self):
        super().setUp()
        pops = {name: (self.addresses.address(), 443) for name in ("frankfurt", "virginia", "tokyo")}
        self.address_of = {name: address for name, (address, _) in pops.items()}
        zones = "".join(f'[[zone]]\nname = "{name}"\nfile = "{self.folder}/{name}.zone"\ndnssec = {signed}\n'
                        for name, signed in (("secure.demo.test", "true"), ("plain.demo.test", "false")))
        self.server = NameServer(self, pops, checks=False, extra=zones)
        config = self.server.daemon.config_path.read_text()
        line = f'file = "{self.server.zone_path}"\n'
        self.server.daemon.configure(config.replace(line, line + "dnssec = true\n", 1).replace("ttl = 30", "ttl = 1"))
        for name in ("secure.demo.test", "plain.demo.test"):
            (self.folder / f"{name}.zone").write_text(BELOW.format(ttl=self.TTL))
        self.server.zone_path.write_text(ZONE.format(ttl=self.TTL, secure_ds=""))

    def command(self, *arguments: str, zone: str = "demo.test"):
        return run_program("nearside-geodns", arguments[0], "--config", self.server.daemon.config_path, "--zone", zone,
                           *arguments[1:])

    def told(self, *arguments: str, zone: str = "demo.test") -> dict:
        result = self.command(*arguments, "--json", zone=zone)
        self.assertEqual(0, result.returncode, result.stderr)
        return json.loads(result.stdout)

    def start_signed(self, algorithm: str = "ecdsap256") -> str:
        """Makes the keys, links the child to its parent, starts, and returns the DS record of demo.test."""
        anchor = self.told("keygen", "--algorithm", algorithm)["key"]["ds"]
        below = self.told("keygen", "--algorithm", algorithm, zone="secure.demo.test")["key"]["ds"]
        self.server.zone_path.write_text(ZONE.format(ttl=self.TTL, secure_ds=below.replace(" IN ", f" {self.TTL} ")))
        self.server.start()
        return anchor

    def reload(self):
        count = self.server.daemon.log().count("event=reloaded")
        self.server.daemon.reload()
        wait_until(lambda: self.server.daemon.log().count("event=reloaded") > count, "the reload")

    def query(self, name: str, kind: str = "A", *, subnet: str = "", flags: int = dns.flags.DO):
        options = [dns.edns.ECSOption(*subnet.split("/")[:1], int(subnet.split("/")[1]))] if subnet else []
        query = dns.message.make_query(name, kind, use_edns=0, payload=1232, options=options)
        query.ednsflags = flags
        return dns.query.udp(query, self.server.server[0], port=self.server.server[1], timeout=10)

    def keys_of(self, zone: str) -> dict:
        name = dns.name.from_text(zone)
        answer = self.query(zone, "DNSKEY").find_rrset(dns.message.ANSWER, name, 1, dns.rdatatype.DNSKEY)
        return {name: answer}

    def expect_valid(self, message, zone: str = "demo.test"):
        """Every set of records in the answer and authority sections verifies."""
        keys = self.keys_of(zone)
        for section in (message.answer, message.authority):
            for rrset in section:
                if rrset.rdtype != dns.rdatatype.RRSIG:
                    signatures = [other for other in section if other.name == rrset.name and
                                  other.rdtype == dns.rdatatype.RRSIG and other.covers == rrset.rdtype]
                    self.assertEqual(1, len(signatures), f"{rrset}\n{message}")
                    dns.dnssec.validate(rrset, signatures[0], keys)

    def expect_secure(self, resolver: Unbound):
        for name, kind, data in SECURE:
            with self.subTest(name=name, kind=kind):
                answer = resolver.ask(name, kind)
                self.assertEqual("NOERROR", answer.status, answer)
                self.assertIn("ad", answer.flags, f"not validated\n{answer}")
                plain = [text for text in answer.answers if not re.match(r"[A-Z]+ \d+ \d+ \d+ 20\d{12} ", text)]
                if data is not None:
                    self.assertCountEqual(data, plain, answer)
                else:
                    self.assertTrue(plain, answer)

    def expect_insecure(self, resolver: Unbound):
        for name, kind, data in INSECURE:
            with self.subTest(name=name, kind=kind):
                answer = resolver.ask(name, kind)
                self.assertIn(answer.status, ("NOERROR", "NXDOMAIN"), answer)
                self.assertNotIn("ad", answer.flags, answer)
                plain = [text for text in answer.answers if not re.match(r"[A-Z]+ \d+ \d+ \d+ 20\d{12} ", text)]
                self.assertCountEqual(data, plain, answer)


class ValidatorTest(DnssecTest):
    def test_unbound_takes_every_kind_of_answer(self):
        for algorithm in ("ecdsap256", "ed25519"):
            with self.subTest(algorithm=algorithm):
                anchor = self.start_signed(algorithm)
                resolver = Unbound(self, self.server.server, anchor).start()
                self.expect_secure(resolver)
                self.expect_insecure(resolver)
                resolver.stop()
                self.server.daemon.stop()
                shutil.rmtree(self.folder / "geodns")

    def test_delv_takes_every_kind_of_answer(self):
        delv = require_program("delv")
        anchor = self.start_signed()
        tag, algorithm, digest_type, digest = anchor.split(" DS ")[1].split(" ", 3)
        path = self.folder / "anchor"
        path.write_text(f'trust-anchors {{ "demo.test." static-ds {tag} {algorithm} {digest_type} "{digest}"; }};\n')

        def ask(name: str, kind: str) -> str:
            command = [delv, f"@{self.server.server[0]}", "-p", str(self.server.server[1]), "-a", str(path),
                       "+root=demo.test", name, kind]
            result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
            return result.stdout + result.stderr

        for name, kind, data in SECURE:
            # delv asks one server as if it were a resolver: what it would have to ask the child for is unbound's part.
            if "secure" in name or kind == "ANY":
                continue
            with self.subTest(name=name, kind=kind):
                text = ask(name, kind)
                wanted = "; negative response, fully validated" if data == [] else "; fully validated"
                self.assertIn(wanted, text)
        path.write_text(path.read_text().replace(digest, "00" + digest[2:]))
        self.assertNotIn("fully validated", ask("static.demo.test", "A"), "another digest")

    def test_steered_answers_are_valid_for_each_client(self):
        self.start_signed()
        for round_ in (1, 2):
            for place, subnet in PLACES.items():
                for name in ("www.demo.test", "towww.demo.test", "likewww.demo.test"):
                    with self.subTest(place=place, name=name, round=round_):
                        answer = self.query(name, subnet=subnet)
                        self.expect_valid(answer)
                        addresses = [rdata.address for rrset in answer.answer if rrset.rdtype == dns.rdatatype.A
                                     for rdata in rrset]
                        self.assertEqual([self.address_of[place]], addresses)
                hinted = self.query("svc.demo.test", "HTTPS", subnet=subnet)
                self.expect_valid(hinted)
                self.assertIn(f'ipv4hint="{self.address_of[place]}"', hinted.to_text())
        for subnet in PLACES.values():
            self.expect_valid(self.query("www.demo.test", "AAAA", subnet=subnet))

    def test_steered_answers_go_through_a_resolver_that_tells_subnets(self):
        anchor = self.start_signed()
        resolver = Unbound(self, self.server.server, anchor, ecs=True).start()
        for place, subnet in PLACES.items():
            with self.subTest(place=place):
                answer = resolver.ask("www.demo.test", subnet=subnet.replace(".0.0/16", ".0.0/24"))
                self.assertIn(self.address_of[place], answer.answers, answer)
                self.assertIn("ad", answer.flags, answer)

    def test_another_key_is_bogus(self):
        """So that the tests above can fail."""
        anchor = self.start_signed()
        resolver = Unbound(self, self.server.server, anchor).start()
        self.assertIn("ad", resolver.ask("static.demo.test").flags)
        self.server.daemon.stop()
        shutil.rmtree(self.folder / "geodns" / "keys" / "demo.test")
        self.assertNotEqual(anchor, self.told("keygen")["key"]["ds"])
        self.server.start()
        resolver.restart()
        for name, kind, _ in SECURE:
            with self.subTest(name=name, kind=kind):
                self.assertEqual("SERVFAIL", resolver.ask(name, kind).status)
        self.assertEqual("NOERROR", resolver.ask("static.demo.test", "A", "+cdflag").status, "the data is there")

    def test_denials_say_nxdomain_to_those_who_take_it(self):
        self.start_signed()
        compact = self.query("missing.demo.test", flags=dns.flags.DO | 0x4000)
        self.assertEqual(dns.rcode.NXDOMAIN, compact.rcode())
        self.assertEqual(dns.flags.DO | 0x4000, compact.ednsflags & 0xFFFF)
        self.expect_valid(compact)
        plain = self.query("missing.demo.test")
        self.assertEqual(dns.rcode.NOERROR, plain.rcode())
        self.expect_valid(plain)
        self.assertEqual("NXDOMAIN", kdig(self.server.server, "missing.demo.test").status, "without DNSSEC")

    def test_metrics_and_status_tell_of_signing(self):
        anchor = self.start_signed()
        for _ in range(3):
            self.query("static.demo.test")
            self.query("missing.demo.test")
        metrics = Metrics(fetch_text(self.server.admin_url("/metrics")))
        made = metrics.sum("nearside_dns_signatures_total", source="made")
        remembered = metrics.sum("nearside_dns_signatures_total", source="remembered")
        # Three sets, on each of two threads at most; nine signatures in all.
        self.assertEqual(9, made + remembered, metrics.text)
        self.assertLessEqual(made, 6)
        self.assertGreaterEqual(made, metrics.sum("nearside_dns_signing_seconds_count"))
        self.assertGreater(metrics.sum("nearside_dns_signing_seconds_sum"), 0)
        self.assertEqual(3, metrics.sum("nearside_dns_compact_denials_total"))
        status = json.loads(fetch_text(self.server.admin_url("/status")))
        zones = {zone["name"]: zone for zone in status["zones"]}
        (key,) = zones["demo.test."]["dnssec"]["keys"]
        self.assertEqual((anchor, "active", "ECDSAP256SHA256"), (key["ds"], key["state"], key["algorithm"]))
        self.assertNotIn("dnssec", zones["plain.demo.test."])
        explained = json.loads(fetch_text(self.server.admin_url("/explain?name=www.demo.test&client=133.11.0.1")))
        self.assertEqual([key["tag"]], explained["signed_by"])
        absent = json.loads(fetch_text(self.server.admin_url("/explain?name=no.demo.test&client=133.11.0.1")))
        self.assertEqual(("NXDOMAIN", "NOERROR"), (absent["rcode"], absent["rcode_with_proof"]))


class KeysTest(DnssecTest):
    def test_a_signed_zone_without_a_key_names_the_command(self):
        for check in (["--check"], []):
            result = run_program("nearside-geodns", *check, "--config", self.server.daemon.config_path)
            self.assertEqual(EXIT_CONFIG, result.returncode)
            self.assertRegex(result.stderr, r"geodns\.toml:\d+: zone\.dnssec: there is no key for demo\.test\.")
            self.assertIn("nearside-geodns keygen --config", result.stderr)

    def test_commands_say_what_they_need(self):
        self.told("keygen")
        again = self.command("keygen")
        self.assertEqual(1, again.returncode)
        self.assertIn("nearside-geodns roll", again.stderr)
        self.assertEqual(self.told("ds")["ds"], [self.told("keys")["keys"][0]["ds"]])
        self.assertIn("active", self.command("keys").stdout)
        unknown = self.command("keys", zone="other.test")
        self.assertEqual(EXIT_CONFIG, unknown.returncode)
        self.assertIn('no [[zone]] called "other.test"', unknown.stderr)
        self.assertNotEqual(0, self.command("keygen", "--algorithm", "rsa").returncode)

    def test_a_rollover_waits_for_records_of_included_files_too(self):
        (self.folder / "more.zone").write_text("slow 7200 A 192.0.2.9\n")
        text = ZONE.format(ttl=self.TTL, secure_ds="") + f"$INCLUDE {self.folder}/more.zone\n"
        self.server.zone_path.write_text(text)
        self.told("keygen")
        (new,) = [key for key in self.told("roll")["keys"] if key["state"] == "incoming"]
        step = self.told("roll", "--servers-have", str(new["tag"]))
        (new,) = [key for key in step["keys"] if key["state"] == "incoming"]
        told, ready = (datetime.fromisoformat(text) for text in (new["servers_told"], step["next_not_before"]))
        self.assertAlmostEqual(7200, (ready - told).total_seconds(), delta=2)  # both are told in whole seconds

    def test_private_keys_are_for_their_owner_alone(self):
        self.told("keygen")
        (path,) = (self.folder / "geodns" / "keys" / "demo.test").iterdir()
        self.assertEqual(0o600, path.stat().st_mode & 0o777)
        path.chmod(0o644)
        result = run_program("nearside-geodns", "--check", "--config", self.server.daemon.config_path)
        self.assertEqual(EXIT_CONFIG, result.returncode)
        self.assertIn("chmod 600", result.stderr)


class RolloverTest(DnssecTest):
    TTL = 1

    def expect_good(self, resolver: Unbound, what: str):
        for name, kind in (("static.demo.test", "A"), ("www.demo.test", "A"), ("missing.demo.test", "A"),
                           ("x.wild.demo.test", "A"), ("demo.test", "DNSKEY"), ("alias.demo.test", "A")):
            with self.subTest(what=what, name=name):
                answer = resolver.ask(name, kind)
                self.assertEqual("NOERROR", answer.status, answer)
                self.assertIn("ad", answer.flags, answer)

    def test_no_moment_of_a_rollover_is_bogus(self):
        """A resolver with the old DS through it all, one that is asked for the first time after each step, and one
        that has the new DS as soon as the parent may have it. To another algorithm, which is the harder case."""
        old = self.start_signed()
        patient = Unbound(self, self.server.server, old).start()
        fresh = Unbound(self, self.server.server, old).start()
        self.expect_good(patient, "before")

        self.assertEqual("add", self.told("roll", "--algorithm", "ed25519")["step"])
        self.expect_good(patient, "added, not yet reloaded")
        self.reload()
        self.expect_good(patient, "added")
        self.expect_good(fresh.restart(), "added, asked for the first time")
        self.assertEqual([old], self.told("ds")["ds"], "the parent is not to change anything yet")
        unproven = self.command("roll")
        self.assertEqual(1, unproven.returncode)
        (incoming,) = [key["tag"] for key in self.told("keys")["keys"] if key["state"] == "incoming"]
        self.assertIn(f"--servers-have {incoming}", unproven.stderr)
        self.assertEqual("note_servers", self.told("roll", "--servers-have", str(incoming))["step"])
        early = self.command("roll")
        self.assertEqual(1, early.returncode)
        self.assertIn("run this again after", early.stderr)

        self.assertEqual("switch", self.told("roll", "--force")["step"])
        self.reload()
        (new,) = self.told("ds")["ds"]
        self.assertNotEqual(old, new)
        (cds,) = self.server.ask("demo.test", "CDS").answers
        self.assertEqual(new.split(" DS ")[1].split(), cds.lower().split(), "what the parent may read by itself")
        self.expect_good(patient, "switched, the parent still has the old DS")
        self.expect_good(fresh.restart(), "switched, asked for the first time, old DS")
        self.expect_good(fresh.restart(new), "switched, new DS")
        tag = new.split(" DS ")[1].split()[0]
        unproven = self.command("roll")
        self.assertEqual(1, unproven.returncode)
        self.assertIn(f"--parent-has {tag}", unproven.stderr)

        self.assertEqual("note_parent", self.told("roll", "--parent-has", tag)["step"])
        self.assertEqual(1, self.command("roll").returncode, "resolvers may have the old DS for a day")
        self.assertEqual("remove", self.told("roll", "--ds-ttl", "0s")["step"])
        self.expect_good(fresh, "removed, not yet reloaded")
        self.reload()
        self.expect_good(fresh, "removed")
        self.expect_good(fresh.restart(), "removed, asked for the first time")
        (key,) = self.told("keys")["keys"]
        self.assertEqual(("ED25519", "active"), (key["algorithm"], key["state"]))
        self.assertEqual("SERVFAIL", patient.restart().ask("static.demo.test").status, "the old DS is over")

    def test_no_moment_of_going_unsigned_is_bogus(self):
        """A resolver that still has the DS record until nobody may have it any more, then one without."""
        anchor = self.start_signed()
        patient = Unbound(self, self.server.server, anchor).start()
        self.expect_good(patient, "before")

        self.assertEqual("withdraw", self.told("unsign")["step"])
        self.reload()
        self.assertEqual(["0 0 0 00"], self.server.ask("demo.test", "CDS").answers, "RFC 8078")
        self.assertEqual(["0 3 0 AA=="], self.server.ask("demo.test", "CDNSKEY").answers)
        self.assertIn("ad", patient.ask("demo.test", "CDS").flags, "signed, or no parent may believe it")
        self.expect_good(patient, "withdrawn")
        for command, told in ((["ds"], "being unsigned"), (["roll"], "unsign --cancel"),
                              (["unsign"], "--parent-has-none")):
            refused = self.command(*command)
            self.assertEqual(1, refused.returncode, command)
            self.assertIn(told, refused.stderr)

        self.assertEqual("cancel", self.told("unsign", "--cancel")["step"])
        self.reload()
        (cds,) = self.server.ask("demo.test", "CDS").answers
        self.assertEqual(anchor.split(" DS ")[1].split(), cds.lower().split())
        self.assertEqual("withdraw", self.told("unsign")["step"])
        self.reload()

        self.assertEqual("note_parent", self.told("unsign", "--parent-has-none")["step"])
        early = self.command("unsign")
        self.assertEqual(1, early.returncode)
        self.assertIn("run this again after", early.stderr)
        self.expect_good(patient, "the parent has none, this resolver still has it")
        done = self.command("unsign", "--ds-ttl", "0s")
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertIn("dnssec = false", done.stdout)
        config = self.server.daemon.config_path.read_text()
        self.server.daemon.configure(config.replace("dnssec = true", "dnssec = false"))
        self.reload()
        self.assertNotIn("RRSIG", self.server.ask("static.demo.test", "A", "+dnssec").text)
        self.assertEqual([], self.server.ask("demo.test", "CDS").answers)
        self.assertEqual("NXDOMAIN", self.server.ask("missing.demo.test").status)


if __name__ == "__main__":
    main()
