#include "origin/form.h"

#include <gtest/gtest.h>

namespace nearside::origin {
namespace {

/// "name=value " for each of the fields asked for, or the reason of the refusal.
std::string Read(std::string_view text, std::initializer_list<std::string_view> names) {
  const Result<Form> form = Form::Parse(text);
  if (!form) return form.error().reason;
  std::string shown;
  for (const std::string_view name : names) {
    shown += std::string(name) + "=" + std::string(form->Get(name)) + " ";
  }
  return shown;
}

TEST(FormTest, FieldsAreDecoded) {
  EXPECT_EQ(Read("name=alice&password=a+b%2Bc%26d", {"name", "password"}),
            "name=alice password=a b+c&d ");
  EXPECT_EQ(Read("na%6De=x=y", {"name"}), "name=x=y ");
  EXPECT_EQ(Read("a=&b&=c", {"a", "b", ""}), "a= b= =c ");
  EXPECT_EQ(Read("", {"a"}), "a= ");
  EXPECT_EQ(Read("&&a=1&&", {"a"}), "a=1 ");
  EXPECT_EQ(Read("p=%C3%A4%F0%9F%90%8E", {"p"}), "p=\xC3\xA4\xF0\x9F\x90\x8E ");
}

TEST(FormTest, WhatIsNoFormIsRefused) {
  for (const char* text :
       {"a=%", "a=%4", "a=%zz", "%=a", "a=%00", "a%00b=c", "a=1&a=2", "a=1&%61=1"}) {
    EXPECT_EQ(Read(text, {}), "bad_form") << text;
  }
}

TEST(FormTest, ItHasSoManyFieldsAndNoMore) {
  std::string text;
  for (size_t i = 0; i < kFormFields; ++i) text += "f" + std::to_string(i) + "=x&";
  ASSERT_TRUE(Form::Parse(text));
  EXPECT_EQ(Form::Parse(text)->size(), kFormFields);
  EXPECT_EQ(Read(text + "g=x", {}), "bad_form");
}

TEST(FormTest, TheTypeSaysThatItIsOne) {
  const std::pair<const char*, bool> rows[] = {
      {"application/x-www-form-urlencoded", true},
      {"Application/X-WWW-Form-Urlencoded; charset=utf-8", true},
      {"application/x-www-form-urlencoded ;charset=utf-8", true},
      {"application/json", false},
      {"text/plain", false},
      {"multipart/form-data; boundary=x", false},
      {"", false}};
  for (const auto& [type, is_form] : rows) {
    EXPECT_EQ(IsForm({{"content-type", type}}), is_form) << type;
  }
  EXPECT_FALSE(IsForm({}));
}

}  // namespace
}  // namespace nearside::origin
