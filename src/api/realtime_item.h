#pragma once

#include <boost/json/object.hpp>
#include <optional>

#include "api/chat_request.h"
#include "api/json_reader.h"
#include "api/realtime_types.h"

namespace calliope::api::realtime {

/// Reads an item a client creates. Its sounds come in `format` and leave as 16 kHz; its pictures are decoded.
/// `references`: {"type": "item_reference", "id"} is one, too.
Result<Item> parse_item(const JsonReader& json, MediaDecoder& decoder, media::WireFormat format, bool references);

/// As RealtimeConversationItem. `sound_format`: with the sound of input_audio, packed so; none: without.
boost::json::object item_json(const Item& item, Dialect dialect, std::optional<media::WireFormat> sound_format = {});
/// As in response.content_part.added.
boost::json::object part_json(const Content& part);

}  // namespace calliope::api::realtime
