#include "origin/account_pages.h"

#include <algorithm>
#include <cstdio>
#include <iterator>

#include "http/uri.h"
#include "origin/html.h"

namespace nearside::origin {
namespace {

constexpr size_t kIsoMinutes = 16;  ///< "2026-11-20T07:00"

/// A whole page around what is in it. `account` is who has signed in; "": nobody.
std::string Page(std::string_view title, std::string_view account, std::string_view form_token,
                 const Html& content) {
  Html page;
  page.Markup("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n")
      .Markup("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>")
      .Text(title)
      .Markup(" - Nearside</title>\n<link rel=\"stylesheet\" href=\"")
      .Text(kStylePage)
      .Markup("\">\n</head>\n<body>\n<header>\n<a class=\"brand\" href=\"")
      .Text(kAccountPage)
      .Markup("\">Nearside</a>\n");
  if (!account.empty()) {
    page.Markup("<form method=\"post\" action=\"")
        .Text(kSignOutPage)
        .Markup("\"><span>")
        .Text(account)
        .Markup("</span><input type=\"hidden\" name=\"form_token\" value=\"")
        .Text(form_token)
        .Markup("\"><button class=\"quiet\">Sign out</button></form>\n");
  }
  page.Markup("</header>\n<main>\n").Add(content).Markup("</main>\n</body>\n</html>\n");
  return page.text();
}

/// One form's beginning, with its token.
Html FormStart(std::string_view action, std::string_view form_token) {
  Html form;
  form.Markup("<form method=\"post\" action=\"")
      .Text(action)
      .Markup("\"><input type=\"hidden\" name=\"form_token\" value=\"")
      .Text(form_token)
      .Markup("\">\n");
  return form;
}

Html Messages(std::string_view problem, std::string_view notice) {
  Html html;
  if (!problem.empty()) {
    html.Markup("<p class=\"problem\" role=\"alert\">").Text(problem).Markup("</p>\n");
  }
  if (!notice.empty()) {
    html.Markup("<p class=\"notice\" role=\"status\">").Text(notice).Markup("</p>\n");
  }
  return html;
}

Html NameInput(std::string_view value) {
  Html html;
  html.Markup("<label for=\"name\">E-mail or name</label>\n")
      .Markup("<input id=\"name\" name=\"name\" autocomplete=\"username\" autocapitalize=\"none\" ")
      .Markup("spellcheck=\"false\" maxlength=\"254\" required value=\"")
      .Text(value)
      .Markup("\">\n");
  return html;
}

Html NewPasswordInput() {
  Html html;
  html.Markup("<label for=\"new_password\">New password</label>\n")
      .Markup("<input id=\"new_password\" name=\"new_password\" type=\"password\" ")
      .Markup("autocomplete=\"new-password\" minlength=\"8\" required ")
      .Markup("aria-describedby=\"password_rules\">\n<p id=\"password_rules\" class=\"hint\">")
      .Markup("8 characters or more. A few words in a row are better than odd characters.</p>\n");
  return html;
}

Html Time(WallTime time, std::string_view otherwise) {
  Html html;
  if (ToUnixMillis(time) == 0) return html.Text(otherwise);
  const std::string iso = FormatIsoTime(time);
  std::string shown = iso.substr(0, kIsoMinutes) + " UTC";
  shown[10] = ' ';
  return html.Markup("<time datetime=\"").Text(iso).Markup("\">").Text(shown).Markup("</time>");
}

std::string Joined(const std::vector<std::string>& words, std::string_view between) {
  std::string text;
  for (const std::string& word : words) {
    if (!text.empty()) text += between;
    text += word;
  }
  return text;
}

std::string SitePath(std::string_view site) {
  return std::string(kSitesPage) + http::PercentEncode(site);
}

Html SitesTable(const std::vector<SiteLine>& sites) {
  Html html;
  if (sites.empty()) {
    return html.Markup("<p>No site yet. Whoever runs this origin can grant you one: ")
        .Markup("<code>nearside account grant</code>.</p>\n");
  }
  html.Markup("<table>\n<thead><tr><th scope=\"col\">Site</th><th scope=\"col\">Hosts</th>")
      .Markup("<th scope=\"col\">Active release</th><th scope=\"col\">You may</th></tr></thead>\n")
      .Markup("<tbody>\n");
  for (const SiteLine& line : sites) {
    html.Markup("<tr><td><a href=\"")
        .Text(SitePath(line.site.name))
        .Markup("\">")
        .Text(line.site.name)
        .Markup("</a></td><td>")
        .Text(Joined(line.site.hosts, ", "))
        .Markup("</td><td>")
        .Text(line.site.active == storage::kNoRelease ? "none" : std::to_string(line.site.active))
        .Markup("</td><td>")
        .Text(Joined(line.rights.Names(), ", "))
        .Markup("</td></tr>\n");
  }
  return html.Markup("</tbody>\n</table>\n");
}

/// The note of a session: address, line end, user agent.
Html SessionCells(const storage::Session& session) {
  const size_t end = std::min(session.note.find('\n'), session.note.size());
  const size_t agent = std::min(end + 1, session.note.size());
  Html html;
  return html.Markup("<td>")
      .Text(session.note.substr(agent).empty() ? "unknown" : session.note.substr(agent))
      .Markup("</td><td>")
      .Text(session.note.substr(0, end))
      .Markup("</td><td>")
      .Add(Time(session.created, ""))
      .Markup("</td><td>")
      .Add(Time(session.used, ""))
      .Markup("</td>");
}

Html SessionsTable(const std::vector<storage::Session>& sessions, const Key256& current) {
  Html html;
  html.Markup("<table>\n<thead><tr><th scope=\"col\">Browser</th><th scope=\"col\">Address</th>")
      .Markup("<th scope=\"col\">Since</th><th scope=\"col\">Used</th>")
      .Markup(
          "<th scope=\"col\"><span class=\"unseen\">This one</span></th></tr></thead>\n<tbody>\n");
  for (const storage::Session& session : sessions) {
    html.Markup("<tr>").Add(SessionCells(session)).Markup("<td>");
    if (session.key == current) html.Markup("this browser");
    html.Markup("</td></tr>\n");
  }
  return html.Markup("</tbody>\n</table>\n");
}

/// "812 B", "37.9 MB": decimal, for people.
std::string SizeText(uint64_t bytes) {
  constexpr const char* kUnits[] = {"B", "kB", "MB", "GB", "TB"};
  size_t unit = 0;
  auto size = static_cast<double>(bytes);
  for (; size >= 1000 && unit + 1 < std::size(kUnits); ++unit) size /= 1000;
  char text[32];
  std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.1f %s", size, kUnits[unit]);
  return text;
}

std::string_view StateName(storage::ReleaseState state) {
  switch (state) {
    case storage::ReleaseState::kOpen:
      return "never active";
    case storage::ReleaseState::kActive:
      return "active";
    case storage::ReleaseState::kPast:
      return "past";
  }
  return "";
}

Html ReleasesTable(const SiteView& view) {
  Html html;
  if (view.releases.empty()) return html.Markup("<p>Nothing was published yet.</p>\n");
  const bool may_publish = view.rights.Has(Right::kPublish);
  html.Markup("<table>\n<thead><tr><th scope=\"col\">Release</th><th scope=\"col\">State</th>")
      .Markup("<th scope=\"col\">Made</th><th scope=\"col\">Activated</th>")
      .Markup("<th scope=\"col\">Files</th><th scope=\"col\">Size</th>")
      .Markup(
          "<th scope=\"col\"><span class=\"unseen\">Change</span></th></tr></thead>\n<tbody>\n");
  for (const storage::Release& release : view.releases) {
    const std::string id = std::to_string(release.id);
    html.Markup("<tr><td>")
        .Text(id)
        .Markup("</td><td>")
        .Text(StateName(release.state))
        .Markup("</td><td>")
        .Add(Time(release.created, ""))
        .Markup("</td><td>")
        .Add(Time(release.activated, "never"))
        .Markup("</td><td>")
        .Text(std::to_string(release.assets))
        .Markup("</td><td>")
        .Text(SizeText(release.bytes))
        .Markup("</td><td>");
    if (may_publish && release.state == storage::ReleaseState::kPast) {
      html.Add(FormStart(SitePath(view.site.name) + "/activate", view.form_token))
          .Markup("<input type=\"hidden\" name=\"release\" value=\"")
          .Text(id)
          .Markup("\"><button class=\"quiet\" aria-label=\"Roll back to release ")
          .Text(id)
          .Markup("\">Roll back</button></form>");
    }
    html.Markup("</td></tr>\n");
  }
  return html.Markup("</tbody>\n</table>\n");
}

Html TokensTable(const SiteView& view) {
  Html html;
  if (view.tokens.empty()) return html.Markup("<p>No token yet.</p>\n");
  html.Markup("<table>\n<thead><tr><th scope=\"col\">Name</th><th scope=\"col\">Id</th>")
      .Markup("<th scope=\"col\">May</th><th scope=\"col\">State</th><th scope=\"col\">Ends</th>")
      .Markup("<th scope=\"col\">Used</th>")
      .Markup(
          "<th scope=\"col\"><span class=\"unseen\">Change</span></th></tr></thead>\n<tbody>\n");
  for (const TokenLine& token : view.tokens) {
    html.Markup("<tr><td>")
        .Text(token.name)
        .Markup("</td><td><code>")
        .Text(token.id)
        .Markup("</code></td><td>")
        .Text(token.scopes)
        .Markup("</td><td>")
        .Text(token.state)
        .Markup("</td><td>")
        .Add(Time(token.expires, "never"))
        .Markup("</td><td>")
        .Add(Time(token.last_used, "never"))
        .Markup("</td><td>");
    if (token.state == "active") {
      html.Add(FormStart(SitePath(view.site.name) + "/tokens/revoke", view.form_token))
          .Markup("<input type=\"hidden\" name=\"token\" value=\"")
          .Text(token.id)
          .Markup("\"><button class=\"quiet\" aria-label=\"Revoke token ")
          .Text(token.name)
          .Markup("\">Revoke</button></form>");
    }
    html.Markup("</td></tr>\n");
  }
  return html.Markup("</tbody>\n</table>\n");
}

Html MadeTokenBox(const MadeToken& made) {
  Html html;
  return html.Markup("<div class=\"notice\" role=\"status\">\n<p>Token \"")
      .Text(made.name)
      .Markup("\" was made. These secrets are shown this once; copy them now.</p>\n")
      .Markup("<dl><dt>Token</dt><dd><code>")
      .Text(made.token)
      .Markup("</code></dd><dt>S3 access key id</dt><dd><code>")
      .Text(made.s3_id)
      .Markup("</code></dd><dt>S3 secret access key</dt><dd><code>")
      .Text(made.s3_secret)
      .Markup("</code></dd></dl>\n</div>\n");
}

Html NewTokenForm(const SiteView& view) {
  Html html = FormStart(SitePath(view.site.name) + "/tokens", view.form_token);
  html.Markup("<label for=\"token_name\">Name</label>\n<input id=\"token_name\" name=\"name\" ")
      .Markup(
          "maxlength=\"100\" required placeholder=\"ci\">\n<fieldset><legend>It may</legend>\n");
  for (const Right right : kEveryRight) {
    const std::string name(RightName(right));
    html.Markup("<label class=\"check\"><input type=\"checkbox\" name=\"")
        .Text("scope_" + name)
        .Markup("\" value=\"on\"");
    if (right == Right::kRead || right == Right::kPublish) html.Markup(" checked");
    html.Markup("> ").Text(name).Markup("</label>\n");
  }
  return html.Markup("</fieldset>\n<label for=\"expires\">It ends</label>\n")
      .Markup("<select id=\"expires\" name=\"expires\"><option value=\"30d\">in 30 days</option>")
      .Markup("<option value=\"90d\" selected>in 90 days</option>")
      .Markup("<option value=\"365d\">in a year</option><option value=\"\">never</option>")
      .Markup("</select>\n<button>Make token</button>\n</form>\n");
}

}  // namespace

std::string SignInHtml(const FormView& view) {
  Html html;
  html.Markup("<h1>Sign in</h1>\n")
      .Add(Messages(view.problem, view.notice))
      .Add(FormStart(kSignInPage, view.form_token))
      .Add(NameInput(view.name))
      .Markup("<label for=\"password\">Password</label>\n<input id=\"password\" name=\"password\" ")
      .Markup("type=\"password\" autocomplete=\"current-password\" required>\n")
      .Markup("<button>Sign in</button>\n</form>\n");
  if (view.sign_up) {
    html.Markup("<p>No account yet? <a href=\"").Text(kSignUpPage).Markup("\">Make one</a>.</p>\n");
  }
  return Page("Sign in", "", "", html);
}

std::string SignUpHtml(const FormView& view) {
  Html html;
  html.Markup("<h1>Make an account</h1>\n")
      .Add(Messages(view.problem, view.notice))
      .Add(FormStart(kSignUpPage, view.form_token))
      .Add(NameInput(view.name))
      .Add(NewPasswordInput())
      .Markup("<button>Make account</button>\n</form>\n<p>You have one? <a href=\"")
      .Text(kSignInPage)
      .Markup("\">Sign in</a>.</p>\n");
  return Page("Make an account", "", "", html);
}

std::string PasswordHtml(const FormView& view) {
  Html html;
  html.Markup("<h1>Change password</h1>\n")
      .Add(Messages(view.problem, view.notice))
      .Add(FormStart(kPasswordPage, view.form_token))
      // For password managers, which want to know whose it is.
      .Markup("<input class=\"unseen\" name=\"name\" autocomplete=\"username\" tabindex=\"-1\" ")
      .Markup("aria-hidden=\"true\" readonly value=\"")
      .Text(view.name)
      .Markup("\">\n<label for=\"password\">Present password</label>\n<input id=\"password\" ")
      .Markup("name=\"password\" type=\"password\" autocomplete=\"current-password\" required>\n")
      .Add(NewPasswordInput())
      .Markup("<p class=\"hint\">All other browsers are signed out.</p>\n")
      .Markup("<button>Change password</button>\n</form>\n<p><a href=\"")
      .Text(kAccountPage)
      .Markup("\">Back</a></p>\n");
  return Page("Change password", view.name, view.form_token, html);
}

std::string HomeHtml(const HomeView& view) {
  Html html;
  html.Markup("<h1>Your account</h1>\n")
      .Add(Messages("", view.notice))
      .Markup("<h2>Sites</h2>\n")
      .Add(SitesTable(view.sites))
      .Markup("<h2>Where you are signed in</h2>\n")
      .Add(SessionsTable(view.sessions, view.current))
      .Add(FormStart(kSignOutEverywherePage, view.form_token))
      .Markup("<button class=\"danger\">Sign out everywhere</button>\n</form>\n")
      .Markup("<h2>Password</h2>\n<p>Changed ")
      .Add(Time(view.account.password_changed, "never"))
      .Markup(". <a href=\"")
      .Text(kPasswordPage)
      .Markup("\">Change it</a></p>\n");
  return Page("Your account", view.account.name, view.form_token, html);
}

std::string SiteHtml(const SiteView& view) {
  Html html;
  html.Markup("<p><a href=\"")
      .Text(kAccountPage)
      .Markup("\">Your account</a></p>\n<h1>Site ")
      .Text(view.site.name)
      .Markup("</h1>\n")
      .Add(Messages(view.problem, view.notice));
  if (view.made) html.Add(MadeTokenBox(*view.made));
  html.Markup("<p>Hosts: ")
      .Text(view.site.hosts.empty() ? "none" : Joined(view.site.hosts, ", "))
      .Markup("<br>You may: ")
      .Text(Joined(view.rights.Names(), ", "))
      .Markup("</p>\n<h2>Releases</h2>\n")
      .Add(ReleasesTable(view));
  if (view.rights.Has(Right::kAdmin)) {
    html.Markup("<h2>Tokens</h2>\n")
        .Add(TokensTable(view))
        .Markup("<h3>Another one</h3>\n")
        .Add(NewTokenForm(view));
  }
  return Page("Site " + view.site.name, view.account.name, view.form_token, html);
}

std::string MessageHtml(const MessageView& view) {
  Html html;
  html.Markup("<h1>").Text(view.title).Markup("</h1>\n<p>").Text(view.text).Markup("</p>\n");
  if (!view.link.empty()) {
    html.Markup("<p><a href=\"")
        .Text(view.link)
        .Markup("\">")
        .Text(view.link_text)
        .Markup("</a></p>\n");
  }
  return Page(view.title, "", "", html);
}

std::string_view AccountStyle() {
  return R"css(:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --line: #d5dae0; --quiet: #5b6570;
  --link: #0b57b0; --good: #e7f5ea; --bad: #fdecea; --edge: #b3261e; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ed; --paper: #14171b; --line: #343b44; --quiet: #9aa4b0; --link: #8ab9f5; --good: #16301d;
    --bad: #3a1a18; --edge: #f2aca6; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; }
header { display: flex; flex-wrap: wrap; justify-content: space-between; align-items: center; gap: .5rem 1rem;
  padding: .75rem 1.25rem; border-bottom: 1px solid var(--line); }
header form { display: flex; align-items: center; gap: .75rem; max-width: 100%; }
header span { color: var(--quiet); overflow-wrap: anywhere; }
.brand { font-weight: 700; color: inherit; text-decoration: none; }
main { max-width: 60rem; margin: 0 auto; padding: 1rem 1.25rem 4rem; }
h1 { font-size: 1.6rem; }
h2 { font-size: 1.2rem; margin-top: 2.25rem; }
a { color: var(--link); }
main > form { max-width: 26rem; }
label { display: block; font-weight: 600; margin-top: 1rem; }
label.check { display: inline-block; font-weight: 400; margin: 0 1rem 0 0; }
fieldset { border: 1px solid var(--line); border-radius: .375rem; margin: 1rem 0 0; }
input:not([type=checkbox]), select { width: 100%; font: inherit; color: inherit; background: var(--paper);
  padding: .5rem .625rem; border: 1px solid var(--quiet); border-radius: .375rem; }
button { font: inherit; font-weight: 600; margin-top: 1.25rem; padding: .5rem 1rem; border: 1px solid var(--link);
  border-radius: .375rem; background: var(--link); color: var(--paper); cursor: pointer; }
button.quiet { margin: 0; padding: .125rem .625rem; background: none; color: var(--link); font-weight: 400; }
button.danger { background: none; border-color: var(--edge); color: var(--edge); }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
table { border-collapse: collapse; display: block; overflow-x: auto; }
th, td { text-align: left; padding: .375rem 1rem .375rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
code { font-family: ui-monospace, monospace; overflow-wrap: anywhere; }
dt { font-weight: 600; }
dd { margin: 0 0 .5rem; }
.hint { color: var(--quiet); margin: .25rem 0 0; }
.problem, .notice { padding: .625rem .875rem; border-radius: .375rem; }
.problem { background: var(--bad); }
.notice { background: var(--good); }
input.unseen, .unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); border: 0; padding: 0; }
)css";
}

}  // namespace nearside::origin
