"""Three outage drills with the whole fleet: an edge dies, all edges die, the origin dies."""

from fleet import FleetTest, SITE_HOST
from clients import curl
from nearside_harness import authority, main, wait_until

JAPAN, GERMANY, AMERICA = "133.11.0.0/16", "84.128.0.0/16", "128.84.0.0/16"


class DrillTest(FleetTest):
    def setUp(self):
        super().setUp()
        site = self.folder / "site"
        site.mkdir()
        (site / "index.html").write_text("<!doctype html><title>drill</title>")
        self.publish(site)
        for subnet, name in ((JAPAN, "tokyo"), (GERMANY, "frankfurt"), (AMERICA, "virginia")):
            self.wait_for_answer(self.edges[name].address, subnet, f"{name} is healthy and answers {subnet}")

    def visit_as(self, subnet: str):
        """What a browser does: asks DNS, goes to the address it is told, at the one port of all."""
        answer = self.name_server.ask(subnet=subnet)
        return curl(f"https://{SITE_HOST}/", to=(answer.answers[0], self.tls_port), ca=authority() / "ca.pem")

    def test_edge_dies_and_comes_back(self):
        tokyo, virginia = self.edges["tokyo"], self.edges["virginia"]
        tokyo.daemon.kill()
        # Fuji to Virginia is farther than to Frankfurt: the next nearest of Japan.
        self.wait_for_answer(self.edges["frankfurt"].address, JAPAN, "Japan is led to the next nearest")
        self.expect(self.visit_as(JAPAN), 200)
        self.assertEqual([virginia.address], self.name_server.ask(subnet=AMERICA).answers, "the others stay")
        tokyo.start()
        self.wait_for_answer(tokyo.address, JAPAN, "Tokyo has its visitors back")

    def test_all_edges_die_and_the_origin_takes_over(self):
        for edge in self.edges.values():
            edge.daemon.kill()
        for subnet in (JAPAN, GERMANY, AMERICA):
            self.wait_for_answer(self.origin.address, subnet, f"{subnet} is led to the origin")
        response = self.expect(self.visit_as(JAPAN), 200)
        self.assertIn(b"drill", response.body)
        self.assertEqual("", response.cache_status, "no edge stood between")
        for name, edge in self.edges.items():
            edge.start()
        self.wait_for_answer(self.edges["tokyo"].address, JAPAN, "back to the nearest")
        self.expect(self.visit_as(JAPAN), 200)

    def test_origin_dies_and_edges_go_on(self):
        for subnet in (JAPAN, GERMANY, AMERICA):
            self.expect(self.visit_as(subnet), 200)
        self.origin.daemon.kill()
        for subnet in (JAPAN, GERMANY, AMERICA):
            self.assertIn(b"drill", self.expect(self.visit_as(subnet), 200).body)
        self.assertIn(self.edges["tokyo"].get("/never-seen").status, (502, 504))
        self.origin.start()
        wait_until(lambda: self.edges["tokyo"].get("/never-seen").status == 404, "the origin is asked again")

    def test_drained_edge_is_passed_over(self):
        tokyo = self.edges["tokyo"]
        response = curl(tokyo.admin_url("/drain"), method="POST", fields={"Authorization": "Bearer wrong"})
        self.expect(response, 401)
        token = tokyo.token_path.read_text().strip()
        self.expect(curl(tokyo.admin_url("/drain"), method="POST", fields={"Authorization": f"Bearer {token}"}), 200)
        self.wait_for_answer(self.edges["frankfurt"].address, JAPAN, "a draining edge gets no new visitors")
        self.expect(tokyo.get("/"), 200)


if __name__ == "__main__":
    main()
