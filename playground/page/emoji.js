// Names of emoji as Slack writes them (":tada:") and the characters they stand for.
//
// A fair set, not all of them: a name that is not here stays as it was written.

const TABLE = `
+1 👍|thumbsup 👍|-1 👎|thumbsdown 👎|100 💯|1234 🔢|alarm_clock ⏰|ambulance 🚑|anger 💢|apple 🍎
arrow_right ➡️|arrow_left ⬅️|arrow_up ⬆️|arrow_down ⬇️|arrow_forward ▶️|arrow_backward ◀️|arrows_counterclockwise 🔄
arrow_upper_right ↗️|leftwards_arrow_with_hook ↩️|arrow_right_hook ↪️|repeat 🔁|back 🔙|bank 🏦|bar_chart 📊|battery 🔋|beer 🍺|beers 🍻|bell 🔔|no_bell 🔕
birthday 🎂|black_circle ⚫|white_circle ⚪|red_circle 🔴|large_red_square 🟥|large_blue_circle 🔵|large_green_circle 🟢|large_yellow_circle 🟡
large_orange_circle 🟠|large_purple_circle 🟣|large_green_square 🟩|large_yellow_square 🟨|white_large_square ⬜
black_large_square ⬛|blue_heart 💙|heart ❤️|broken_heart 💔|green_heart 💚|yellow_heart 💛|purple_heart 💜|boom 💥|bomb 💣|book 📖|books 📚|bookmark 🔖
brain 🧠|broom 🧹|bug 🐛|bulb 💡|building_construction 🏗️|office 🏢|bust_in_silhouette 👤|busts_in_silhouette 👥|calendar 📆|date 📅|spiral_calendar_pad 🗓️
card_index 📇|card_file_box 🗃️|chart_with_upwards_trend 📈|chart_with_downwards_trend 📉|white_check_mark ✅|heavy_check_mark ✔️
ballot_box_with_check ☑️|clap 👏|clipboard 📋|clock1 🕐|clock3 🕒|clock6 🕕|clock9 🕘|clock12 🕛|closed_book 📕|closed_lock_with_key 🔐|cloud ☁️|coffee ☕|coin 🪙
computer 💻|confetti_ball 🎊|confused 😕|construction 🚧|construction_worker 👷|cop 👮|credit_card 💳|cry 😢|crystal_ball 🔮|dart 🎯|dash 💨|detective 🕵️|sleuth_or_spy 🕵️
desktop_computer 🖥️|dizzy 💫|dog 🐶|dollar 💵|door 🚪|droplet 💧|e-mail 📧|email 📧|envelope ✉️|incoming_envelope 📨|envelope_with_arrow 📩|ear 👂|earth_africa 🌍|earth_americas 🌎
earth_asia 🌏|euro 💶|exclamation ❗|heavy_exclamation_mark ❗|grey_exclamation ❕|bangbang ‼️|eye 👁️|eyes 👀|face_with_monocle 🧐|factory 🏭|fax 📠|file_folder 📁
open_file_folder 📂|file_cabinet 🗄️|fire 🔥|fire_engine 🚒|firecracker 🧨|fist ✊|flag-eu 🇪🇺|floppy_disk 💾|flying_saucer 🛸|four_leaf_clover 🍀|gear ⚙️|gem 💎|ghost 👻|gift 🎁|globe_with_meridians 🌐|grin 😁
grinning 😀|hammer 🔨|hammer_and_wrench 🛠️|hand ✋|raised_hand ✋|raised_hands 🙌|handshake 🤝|hash #️⃣|heart_eyes 😍|heavy_minus_sign ➖|heavy_plus_sign ➕|heavy_multiplication_x ✖️
hourglass ⌛|hourglass_flowing_sand ⏳|house 🏠|hugging_face 🤗|hugs 🤗|id 🆔|inbox_tray 📥|outbox_tray 📤|information_source ℹ️|innocent 😇|interrobang ⁉️|joy 😂|key 🔑|old_key 🗝️|keyboard ⌨️|label 🏷️
large_blue_diamond 🔷|large_orange_diamond 🔶|small_blue_diamond 🔹|small_orange_diamond 🔸|laughing 😆|ledger 📒|link 🔗|lock 🔒|lock_with_ink_pen 🔏|unlock 🔓|loudspeaker 📢|mega 📣|mag 🔍|mag_right 🔎|mailbox 📫
male-technologist 👨‍💻|female-technologist 👩‍💻|technologist 🧑‍💻|memo 📝|pencil 📝|pencil2 ✏️|microscope 🔬|money_with_wings 💸|moneybag 💰|heavy_dollar_sign 💲|moon 🌙|mute 🔇|speaker 🔈|sound 🔉|loud_sound 🔊|neutral_face 😐|new 🆕|new_moon 🌑|newspaper 📰|no_entry ⛔
no_entry_sign 🚫|no_good 🙅|ok 🆗|ok_hand 👌|octagonal_sign 🛑|stop_sign 🛑|package 📦|page_facing_up 📄|page_with_curl 📃|pager 📟|paperclip 📎|party_popper 🎉|tada 🎉|pause_button ⏸️|double_vertical_bar ⏸️|penguin 🐧
pensive 😔|phone ☎️|telephone ☎️|telephone_receiver 📞|iphone 📱|pill 💊|pizza 🍕|point_down 👇|point_left 👈|point_right 👉|point_up ☝️|point_up_2 👆|police_car 🚓|pray 🙏|printer 🖨️|purse 👛|pushpin 📌|round_pushpin 📍|question ❓|grey_question ❔|radioactive_sign ☢️
rage 😡|rainbow 🌈|receipt 🧾|recycle ♻️|relaxed ☺️|relieved 😌|robot_face 🤖|robot 🤖|rocket 🚀|rotating_light 🚨|runner 🏃|sandwich 🥪|satellite 🛰️|scales ⚖️|school 🏫|scream 😱|scissors ✂️|scroll 📜|see_no_evil 🙈|seedling 🌱|service_dog 🐕‍🦺|shield 🛡️|ship 🚢|shopping_trolley 🛒|shopping_bags 🛍️|shrug 🤷|skull 💀
skull_and_crossbones ☠️|sleeping 😴|zzz 💤|slightly_smiling_face 🙂|simple_smile 🙂|slightly_frowning_face 🙁|smile 😄|smiley 😃|smirk 😏|snail 🐌|snowflake ❄️|sob 😭|sos 🆘|sparkles ✨|speech_balloon 💬|thought_balloon 💭|star ⭐|star2 🌟|stopwatch ⏱️|stuck_out_tongue 😛|sun_with_face 🌞|sunny ☀️|sunglasses 😎|sweat_smile 😅
sync 🔃|arrows_clockwise 🔃|syringe 💉|hospital 🏥|tea 🍵|test_tube 🧪|alembic ⚗️|thinking_face 🤔|thinking 🤔|ticket 🎫|timer_clock ⏲️|tools 🛠️|toolbox 🧰|triangular_flag_on_post 🚩|checkered_flag 🏁|waving_white_flag 🏳️|trophy 🏆|first_place_medal 🥇|truck 🚚|turtle 🐢|twisted_rightwards_arrows 🔀|umbrella ☔|upside_down_face 🙃|unamused 😒|v ✌️
vertical_traffic_light 🚦|traffic_light 🚥|warning ⚠️|wastebasket 🗑️|watch ⌚|wave 👋|wrench 🔧|writing_hand ✍️|white_flower 💮|wink 😉|world_map 🗺️|worried 😟|x ❌|negative_squared_cross_mark ❎|yum 😋|zap ⚡|zipper_mouth_face 🤐
black_right_pointing_double_triangle_with_vertical_bar ⏭️|black_square_for_stop ⏹️|black_circle_for_record ⏺️|fast_forward ⏩|rewind ⏪|arrow_double_up ⏫|ladder 🪜|compass 🧭|hotsprings ♨️|electric_plug 🔌|wheelchair ♿|ballot_box_with_ballot 🗳️|balance_scale ⚖️|male-police-officer 👮‍♂️|female-police-officer 👮‍♀️
zero 0️⃣|one 1️⃣|two 2️⃣|three 3️⃣|four 4️⃣|five 5️⃣|six 6️⃣|seven 7️⃣|eight 8️⃣|nine 9️⃣|keycap_ten 🔟|regional_indicator_a 🇦|heavy_division_sign ➗|infinity ♾️|copyright ©️|registered ®️|tm ™️|up 🆙|cool 🆒|free 🆓|sparkle ❇️|children_crossing 🚸|biohazard_sign ☣️|man-shrugging 🤷‍♂️|woman-shrugging 🤷‍♀️|facepalm 🤦|face_palm 🤦|salute 🫡|saluting_face 🫡|melting_face 🫠
`;

/** @type {Map<string, string>} */
const BY_NAME = new Map();
for (const entry of TABLE.split(/[|\n]/)) {
  const gap = entry.indexOf(" ");
  if (gap > 0) BY_NAME.set(entry.slice(0, gap), entry.slice(gap + 1).trim());
}

/** @param {string} name without colons @returns {string|null} */
export const emojiChar = (name) => BY_NAME.get(name) || null;

/** Replaces the names it knows inside plain text. @param {string} text */
export const withEmoji = (text) =>
  text.replace(/:([a-z0-9_+'-]+):(?::skin-tone-[2-6]:)?/g, (whole, name) => BY_NAME.get(name) || whole);
