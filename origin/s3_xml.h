#pragma once

// The little XML that S3 speaks: a writer that escapes, and a strict reader for the small bodies of
// DeleteObjects and CompleteMultipartUpload. The reader knows no DTD, no entities but the five of
// XML, no namespaces; a document that declares any is refused, so there is nothing to expand. Pure.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "origin/answer.h"
#include "runtime/result.h"

namespace nearside::origin {

inline constexpr std::string_view kS3Namespace = "http://s3.amazonaws.com/doc/2006-03-01/";

/// Elements one inside the other. Names are constants of ours; texts may be anything: what XML 1.0
/// cannot hold becomes U+FFFD.
class XmlWriter {
 public:
  XmlWriter();
  /// `attributes` as written: " xmlns=\"…\"".
  void Open(std::string_view name, std::string_view attributes = "");
  void OpenS3(std::string_view name);
  void Close();
  /// Of the element that is open.
  void Text(std::string_view text);
  void Element(std::string_view name, std::string_view text);
  void Element(std::string_view name, uint64_t number);
  void Flag(std::string_view name, bool value);
  /// The document; every element has been closed.
  std::string Take() && { return std::move(text_); }

 private:
  std::string text_;
  std::vector<std::string> open_;
};

/// The document as an answer.
Answer S3XmlAnswer(int status, XmlWriter xml);

/// An element that was read.
struct XmlElement {
  std::string name;  ///< without prefix
  std::string text;  ///< of its own, without that of its children
  std::vector<XmlElement> children;

  /// The first child of that name; null when there is none.
  const XmlElement* Child(std::string_view name) const;
  /// Its text; "" when there is none.
  std::string_view ChildText(std::string_view name) const;
};

inline constexpr size_t kXmlDepth = 8;
inline constexpr size_t kXmlElements = 50'000;

/// Reads a document of UTF-8. Error: kClient malformed_xml, saying what is wrong.
Result<XmlElement> ParseXml(std::string_view text);

}  // namespace nearside::origin
